"""A partition that takes more writes than one can is spread over several: its shards.

Shard 0 is the partition as it is without shards, shard n has its name, two spaces, and n. So one shard is none, what
was stored without shards is found by whoever reads shards, and any two counts of them read each other's.
Who writes takes the shard of a member's id; who reads merges the first `count` shards in the order of their sort keys.
"""

from __future__ import annotations

from binascii import crc32


def shard_of(member: str, count: int) -> int:
    return crc32(member.encode(errors="surrogatepass")) % count


def shard_name(partition: str, shard: int) -> str:
    return f"{partition}  {shard}" if shard else partition
