"""Every error that Kappa raises on purpose, and the exit code that the command line ends with.

KappaError            1  something failed: the message says what and where, `hint` the next step
├── UsageError        2  the words of a command are wrong
├── SettingsError     2  a setting is missing, unknown or malformed
├── MachineError      1  this machine lacks something (memory, a port, Java); see `kappa doctor`
├── StackError        1  a process did not start, or is not what it should be
├── Unavailable       1  an outside system does not answer now: a retry can help
├── Refused           1  an outside system refused: a retry does not help
├── ContractError     1  bytes, a record or a schema are not what `schemas/` says
└── WarehouseError    1  publishing stopped so as not to be wrong
"""


class KappaError(Exception):
    """A failure and its remedy: `str(error)` is one line of what and where, `hint` the next step
    (may be empty).
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(KappaError):
    """The words of a command are wrong."""

    exit_code = 2


class SettingsError(KappaError):
    """A setting is missing, unknown or malformed."""

    exit_code = 2


class MachineError(KappaError):
    """This machine lacks something that the stack needs."""


class StackError(KappaError):
    """A process of the stack did not start, or is not what it should be."""


class Unavailable(KappaError):
    """An outside system does not answer now; a retry can help."""


class Refused(KappaError):
    """An outside system refused; a retry does not help."""


class ContractError(KappaError):
    """Bytes, a record or a schema are not what `schemas/` says."""


class WarehouseError(KappaError):
    """Publishing stopped, so as not to publish something wrong."""
