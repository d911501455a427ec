#!/bin/sh
# Install what is missing on a Debian machine and make .venv. Prints nothing when there is nothing to do.
# Usage: tools/bootstrap.sh [EXTRA]   (EXTRA: an optional-dependencies group of pyproject.toml, e.g. dev)
set -eu
cd "$(dirname "$0")/.."
extra=${1:-}
python=${PYTHON:-python3}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fail() { echo "$*" >&2; exit 1; }

# progress LABEL AWK COMMAND...: run COMMAND, its output in $log; AWK makes a percentage `p` of each line it writes.
# A bar is drawn on a terminal only. When COMMAND fails, its last lines are shown.
progress() {
    label=$1 awk=$2
    shift 2
    [ -t 1 ] && bar=1 || bar=0
    echo "== $label"
    : >"$log"
    { "$@" 2>&1 9>&- || echo "failed with status $?" >&9; } 9>"$log.failed" | tee "$log" | awk -v bar="$bar" '
        function draw(p) {
            if (!bar) return
            filled = int(p * 40 / 100)
            printf "\r   [%s%s] %3d %%", substr(hashes, 1, filled), substr(dots, 1, 40 - filled), p
            fflush()
        }
        BEGIN { hashes = dots = sprintf("%40s", ""); gsub(/ /, "#", hashes); gsub(/ /, ".", dots); p = 0; draw(0) }
        '"$awk"' { draw(p) }
        END { if (bar) print "\r   [" hashes "] 100 %" }'
    failed=$(cat "$log.failed")
    rm -f "$log.failed"
    [ -z "$failed" ] || { tail -n 25 "$log" >&2; fail "$label: $failed. What to do is in the lines above."; }
}

command -v "$python" >/dev/null || fail "tinyjoule needs Python 3.11 or newer: set PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "tinyjoule needs Python 3.11 or newer, $python is $("$python" --version): set PYTHON=/path/to/python3"

missing=
need() { missing="$missing $1"; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
command -v gcc >/dev/null || need gcc
[ -e /usr/include/stdio.h ] || need libc6-dev
command -v qemu-system-arm >/dev/null || need qemu-system-arm
if command -v arm-none-eabi-gcc >/dev/null; then
    # gcc answers with a bare name when it does not find the file.
    case $(arm-none-eabi-gcc -print-file-name=nano.specs) in */*) ;; *) need libnewlib-arm-none-eabi ;; esac
else
    need gcc-arm-none-eabi
    need libnewlib-arm-none-eabi
fi
if [ "$extra" = dev ]; then
    # For the tests of the report's page.
    command -v chromium >/dev/null || need chromium
    # For tests/fuzz. The compiler alone does not bring the libraries of libFuzzer and the sanitizers.
    command -v clang >/dev/null || need clang
    case $missing in
    *" clang") need libclang-rt-dev ;;
    *) [ -n "$(find -L "$(clang -print-resource-dir)/lib" -name 'libclang_rt.fuzzer*')" ] || need libclang-rt-dev ;;
    esac
fi
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || fail "This is no Debian. Install what these Debian packages hold:$missing"
    if [ "$(id -u)" = 0 ]; then sudo=; elif command -v sudo >/dev/null; then sudo=sudo; else
        fail "Some Debian packages are missing. As root, run:
    apt-get update && apt-get install -y --no-install-recommends$missing"
    fi
    [ -z "$sudo" ] || sudo -v # ask for the password before a bar is drawn over the question
    progress "updating the list of Debian packages" '{ p = p < 95 ? p + 5 : p }' $sudo apt-get update
    # Status lines: dlstatus or pmstatus, package, percentage; download is the first half of the bar. They need a
    # descriptor of their own (apt closes stdout for the packages' scripts otherwise), opened behind sudo, which closes it.
    progress "installing$missing" \
        'BEGIN { FS = ":" } $1 == "dlstatus" { p = $3 / 2 } $1 == "pmstatus" { p = 50 + $3 / 2 }' \
        $sudo sh -c 'DEBIAN_FRONTEND=noninteractive exec apt-get install -y --no-install-recommends \
            -o APT::Status-Fd=8 "$@" 8>&1' sh $missing
fi

constraints=tools/constraints.txt
stamp=.venv/.ready${extra:+-$extra}
if ! [ "$stamp" -nt pyproject.toml ] || ! [ "$stamp" -nt "$constraints" ]; then
    # Made anew when it was made by a Python that has gone or moved.
    .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear .venv
    backend=$(sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml)
    pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install --progress-bar off"
    # pip tells no percentage: one step per package it looks at, of about as many as the constraints list.
    total=$(grep -c == "$constraints")
    steps='/^(Collecting|Requirement already)/ { n++; p = 85 * n / '$total'; if (p > 85) p = 85 } /^Installing collected/ { p = 90 }'
    progress "preparing .venv" '{ p = 50 }' $pip "$backend"
    progress "installing the Python packages${extra:+ (with $extra)}" "$steps" \
        $pip --no-build-isolation -c "$constraints" -e ".${extra:+[$extra]}"
    touch .venv/.ready "$stamp" # an extra brings everything that the plain installation has
    case $extra in dev | train) touch .venv/.ready-verify ;; esac # and these bring verify
fi
