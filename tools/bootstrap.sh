#!/bin/sh
# Install what is missing on a Debian machine and make .venv. Prints nothing when there is nothing to do.
# Usage: tools/bootstrap.sh [EXTRA]   (EXTRA: an optional-dependencies group of pyproject.toml, e.g. dev)
set -eu
cd "$(dirname "$0")/.."
extra=${1:-}
python=${PYTHON:-python3}

command -v "$python" >/dev/null || { echo "tinyjoule needs Python 3.11 or newer: set PYTHON=/path/to/python3" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "tinyjoule needs Python 3.11 or newer, $python is $("$python" --version): set PYTHON=..." >&2; exit 1; }

missing=
need() { missing="$missing $1"; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
command -v gcc >/dev/null || need gcc
# Its own package: with --no-install-recommends gcc comes without the headers of the C library.
[ -e /usr/include/stdio.h ] || need libc6-dev
command -v qemu-system-arm >/dev/null || need qemu-system-arm
if command -v arm-none-eabi-gcc >/dev/null; then
    # gcc answers with a bare name when it does not find the file.
    case $(arm-none-eabi-gcc -print-file-name=nano.specs) in */*) ;; *) need libnewlib-arm-none-eabi ;; esac
else
    need gcc-arm-none-eabi
    need libnewlib-arm-none-eabi
fi
if [ -n "$missing" ]; then
    install="apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then sudo=; elif command -v sudo >/dev/null; then sudo=sudo; else
        echo "Some Debian packages are missing. As root, run:  apt-get update && $install" >&2
        exit 1
    fi
    command -v apt-get >/dev/null || { echo "This is no Debian: install what these packages hold:$missing" >&2; exit 1; }
    echo "== installing$missing"
    # The fancy progress bar is drawn on a terminal only.
    $sudo apt-get -q update
    $sudo env DEBIAN_FRONTEND=noninteractive $install -q -o Dpkg::Progress-Fancy=1
fi

stamp=.venv/.ready${extra:+-$extra}
if ! [ "$stamp" -nt pyproject.toml ]; then
    # Emptied when it was made by a Python that has gone or moved.
    .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear .venv
    echo "== installing the Python packages into .venv${extra:+ (with $extra)}"
    build_backend=$(sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml)
    .venv/bin/python -m pip install --disable-pip-version-check "$build_backend" | grep -v '^Requirement already' || true
    .venv/bin/python -m pip install --disable-pip-version-check --no-build-isolation -e ".${extra:+[$extra]}" |
        grep -v '^Requirement already'
    touch "$stamp"
fi
