# SPDX-License-Identifier: Apache-2.0
"""Everything the energy side raises on purpose; the command line prints it and exits 1, as it does for a HostError.

    EnergyError
    +-- MonitorUnknown        no instrument of that name, or an address that makes no sense
    +-- MonitorMissing        a Python package that the instrument needs is not installed
    +-- InstrumentError       the instrument: cannot be opened, is another one, refused a setting, reported an error
    |   +-- InstrumentTimeout it did not answer, or sent no samples, in time; it was closed, as its next answer may be a
    |   |                     late one
    |   +-- InstrumentLost    the connection died
    |   +-- GarbledSamples    a block of samples, or a reply, that no rule of its dialect reads
    +-- TraceError            a trace that cannot be read, or holds no window

Every message says what happened and what to do next.
"""


class EnergyError(Exception):
    """Base of everything raised on purpose."""


class MonitorUnknown(EnergyError):
    """No instrument of that name, or an address that makes no sense."""


class MonitorMissing(EnergyError):
    """A Python package that the instrument needs is not installed."""


class InstrumentError(EnergyError):
    """A power monitor failed, refused a setting or reported an error."""


class InstrumentTimeout(InstrumentError):
    """It did not answer in time. It was closed: its next answer may be a late one."""


class InstrumentLost(InstrumentError):
    """The connection died."""


class GarbledSamples(InstrumentError):
    """A block of samples or a reply that no rule of its dialect reads."""


class TraceError(EnergyError):
    """A trace that cannot be read, or holds no window."""
