"""Named factors between units: a bare 1e9 in the code says nothing."""

NS_PER_SECOND = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000
MS_PER_SECOND = 1_000
BYTES_PER_KIB = 1024
BYTES_PER_MIB = 1024 * 1024
