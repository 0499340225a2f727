"""The warehouse's part of a profile: `[plugins.warehouse]`."""

from pydantic import Field

from peerkit import Settings

GIB = 1 << 30


class WarehouseSettings(Settings):
    """Attributes:
    quota_bytes: what content in the store (copies, and what is on its way) may take; 0 = as much as the disk has.
    reserve_bytes: left free on the disk at all times.
    max_sources: sources asked at once for one download.
    upload_slots: requests served at once, each with up to 3 MiB of memory; more are told to come again.
    source_timeout_s: a source that owes data and sends none for so long is dropped.
    search_timeout_s: a download without any source gives up after this.
    watch_interval_s: between two looks at files shared by reference.
    keep_partial_s: a stopped download that nobody went on with for so long may be collected.
    """

    quota_bytes: int = Field(0, ge=0)
    reserve_bytes: int = Field(256 << 20, ge=0)
    max_sources: int = Field(8, ge=1, le=32)
    upload_slots: int = Field(32, ge=1, le=1024)
    source_timeout_s: float = Field(30.0, ge=1, le=600)
    search_timeout_s: float = Field(15.0, ge=0.1, le=600)
    watch_interval_s: float = Field(60.0, ge=1)
    keep_partial_s: float = Field(30 * 86_400.0, ge=0)
