"""A full disk is one sentence, whichever library met it."""

import errno
import re
from pathlib import Path

import pytest
from deltalake.exceptions import DeltaError

from pipelines.errors import ScarecrowError
from pipelines.lake.space import is_full_disk, telling_full_disk


def caused(by: BaseException) -> RuntimeError:
    try:
        raise RuntimeError("[while running 'FoldWrite']") from by
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("OSError: [Errno 28] Error writing bytes to file. Detail: [errno 28] No space"),
        DeltaError("Generic LocalFileSystem error: Unable to write: No space left on device (os error 28)"),
        caused(OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_a_full_disk_is_told(error: Exception) -> None:
    with (
        pytest.raises(ScarecrowError, match=r"the disk of lake lake is full; free some space") as caught,
        telling_full_disk(Path("lake")),
    ):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "Permission denied"),
        RuntimeError("os error 2"),
        DeltaError("a conflict"),
        ValueError("os error 28"),
    ],
)
def test_other_errors_pass(error: Exception) -> None:
    assert not is_full_disk(error)
    with pytest.raises(type(error), match=re.escape(str(error))) as caught, telling_full_disk(Path("lake")):
        raise error
    assert caught.value is error
