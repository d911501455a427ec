"""The exception tree of the host.

    HostError                 anything tinyjoule raises on purpose; the CLI prints it and exits 1
    +-- UsageError            the request makes no sense as typed; the CLI exits 2
    +-- SetupError            a tool, file, model or data set is missing or damaged on this machine
    |   +-- HashMismatch      a file is not the one the catalogue names
    |   +-- NotAvailable      no place that this machine reaches has a file of the catalogue
    +-- LinkError             the line: cannot be opened, closed under us, or silent for too long
    |   +-- LinkTimeout       no complete line in time
    +-- DeviceError           the device answered, but not as the protocol says
    |   +-- DeviceRefused     an `e-` line
    |   +-- LoadIncomplete    an input did not arrive whole (no `m-load-done`, or another CRC)
    |   +-- GarbledReply      a line that no rule of the protocol reads, or a reply that is not its command's
    |   +-- DeviceReset       the device started again under us: model, mode and input are gone
    +-- ResultInvalid         a record that breaks the result schema

Every message says what happened and what to do next. Power monitors have a tree of their own, energy/errors.py.
"""


class HostError(Exception):
    """Base of everything raised on purpose."""


class UsageError(HostError):
    """The request makes no sense as typed."""


class SetupError(HostError):
    """A tool, file, model or data set is missing or damaged on this machine."""


class HashMismatch(SetupError):
    """A file is not the one the catalogue names."""


class NotAvailable(SetupError):
    """No place that this machine reaches has a file of the catalogue."""


class LinkError(HostError):
    """The line cannot be opened or was closed."""


class LinkTimeout(LinkError):
    """No complete line arrived in time."""


class DeviceError(HostError):
    """The device answered, but not as the protocol says."""


class DeviceRefused(DeviceError):
    """The device answered with an `e-` line: `text` is what it says, `kind` its name in wire.toml ("" if not there)."""

    def __init__(self, message: str, *, kind: str = "", text: str = "") -> None:
        """`message` is for a person."""
        super().__init__(message)
        self.kind = kind
        self.text = text


class LoadIncomplete(DeviceError):
    """An input did not arrive whole on the device."""


class GarbledReply(DeviceError):
    """A line that no rule of the protocol reads, or a reply that is not its command's."""


class DeviceReset(DeviceError):
    """The device started again in the middle of a session."""


class ResultInvalid(HostError):
    """A record that breaks the result schema."""
