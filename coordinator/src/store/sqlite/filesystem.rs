//! What file system a folder lies on: SQLite's locks and its memory-mapped index do not work between machines, and what lies in
//! memory frees none.

use std::path::Path;

/// Magic numbers of `statfs(2)`, and what they stand for.
const NETWORK: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0xaad7_aaea, "PanFS"),
    (0x2003_0528, "OrangeFS"),
];

/// The same of file systems that keep everything in memory.
const MEMORY: &[(u64, &str)] = &[(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs")];

/// The kind of network file system that a folder lies on; `None`: it lies on a local one, or nobody can tell.
#[must_use]
pub fn network_file_system(folder: &Path) -> Option<&'static str> {
    named(NETWORK, magic(folder)?)
}

/// The kind of file system in memory that a folder lies on, or will when it is made; `None`: it lies on a disk, or nobody can
/// tell.
#[must_use]
pub fn memory_file_system(folder: &Path) -> Option<&'static str> {
    let folder = std::path::absolute(folder).ok()?;
    named(MEMORY, folder.ancestors().find_map(magic)?)
}

fn magic(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statfs(folder).ok()?;
    // The field's type differs between machines; the numbers have 32 bits everywhere.
    Some((found.f_type as u64) & 0xffff_ffff)
}

fn named(kinds: &[(u64, &'static str)], magic: u64) -> Option<&'static str> {
    let found = kinds.iter().find(|(number, _)| *number == magic);
    found.map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_memory_is_told_from_what_lies_on_a_disk() {
        assert_eq!(named(MEMORY, 0x0102_1994), Some("tmpfs"));
        // Such as ext4.
        assert_eq!(named(MEMORY, 0xef53), None);
        let there = std::env::temp_dir();
        let later = there.join("not-there-yet/nor-below");
        assert_eq!(memory_file_system(&later), memory_file_system(&there));
    }
}
