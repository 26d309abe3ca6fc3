"""Files on a store such as S3: their addresses, and in ``store.py`` what is done with them."""

from videopath.core.remote.address import (
    Place,
    RemoteError,
    RemotePath,
    is_address,
    place,
    screened_place,
)

__all__ = ["Place", "RemoteError", "RemotePath", "is_address", "place", "screened_place"]
