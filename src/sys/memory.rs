//! Memory that the kernel writes into: mapped once, never moved, resident only where it was touched.

use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;

use super::check_size;

/// The size of a page of this machine.
pub fn page_bytes() -> u64 {
    // SAFETY: sysconf only answers.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096).max(1)
}

/// A private anonymous mapping. Pages cost nothing until they are written.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    length: usize,
}

impl Region {
    /// ENOMEM where the address space or the overcommit policy does not allow it.
    pub fn new(length: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length.max(1), access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        // SAFETY: the range is the mapping just made. A huge page would make resident 512 times what was touched.
        unsafe { libc::madvise(start.as_ptr().cast(), length, libc::MADV_NOHUGEPAGE) };
        Ok(Region { start, length })
    }

    pub fn length(&self) -> usize {
        self.length
    }

    /// `length` bytes from `offset`, cut to the region.
    fn cut(&self, offset: usize, length: usize) -> (usize, usize) {
        let offset = offset.min(self.length);
        (offset, length.min(self.length - offset))
    }

    /// The bytes, cut to the region. They change only when the driver's thread lets the kernel write: inside a receive
    /// or the ring's `enter`, for both of which the driver is borrowed mutably.
    pub fn bytes(&self, offset: usize, length: usize) -> &[u8] {
        let (offset, length) = self.cut(offset, length);
        // SAFETY: the range lies in the mapping, which lives as long as `self`; anonymous pages are initialised (zero).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset), length) }
    }

    pub fn bytes_mut(&mut self, offset: usize, length: usize) -> &mut [u8] {
        let (offset, length) = self.cut(offset, length);
        // SAFETY: as in `bytes`; `self` is borrowed mutably, so nobody else looks at the range.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().add(offset), length) }
    }

    /// recv(2), non-blocking, straight into the region.
    pub fn receive(&mut self, socket: RawFd, offset: usize, length: usize) -> io::Result<usize> {
        let into = self.bytes_mut(offset, length);
        // SAFETY: the slice is borrowed for the call, and the kernel writes at most its length.
        check_size(unsafe { libc::recv(socket, into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT) })
    }

    /// Gives whole pages inside the range back to the system; they read as zero afterwards.
    pub fn discard(&self, offset: usize, length: usize) {
        const PAGE: usize = 4096;
        let (offset, length) = self.cut(offset, length);
        let first = offset.next_multiple_of(PAGE);
        let end = (offset + length) / PAGE * PAGE;
        if first < end {
            // SAFETY: the range lies in the mapping. The bytes that vanish are plain memory that nobody has asked to keep.
            unsafe { libc::madvise(self.start.as_ptr().add(first).cast(), end - first, libc::MADV_DONTNEED) };
        }
    }

    /// The address of `offset`, `None` where `length` bytes from there do not lie in the region.
    pub(super) fn address(&self, offset: usize, length: usize) -> Option<*mut u8> {
        let end = offset.checked_add(length)?;
        // SAFETY: the offset lies in the mapping.
        (end <= self.length).then(|| unsafe { self.start.as_ptr().add(offset) })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone; whoever lets the kernel write into it holds a reference of its own.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length.max(1)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_pages(region: &Region) -> usize {
        let pages = region.length().div_ceil(4096);
        let mut map = vec![0u8; pages];
        // SAFETY: the mapping is alive, and the vector has a byte for each of its pages.
        unsafe { libc::mincore(region.start.as_ptr().cast(), region.length(), map.as_mut_ptr()) };
        map.iter().filter(|page| **page & 1 != 0).count()
    }

    #[test]
    fn pages_are_resident_from_touch_to_discard() {
        let mut region = Region::new(64 * 4096).unwrap();
        assert_eq!(resident_pages(&region), 0);
        region.bytes_mut(5 * 4096, 3 * 4096).fill(7);
        assert_eq!(resident_pages(&region), 3);
        // Not a whole page: stays.
        region.discard(5 * 4096 + 1, 4096);
        assert_eq!(region.bytes(5 * 4096, 1), [7]);
        region.discard(5 * 4096, 3 * 4096);
        assert_eq!(resident_pages(&region), 0);
        assert_eq!(region.bytes(5 * 4096, 1), [0]);
    }

    #[test]
    fn ranges_are_cut_to_the_region() {
        let mut region = Region::new(4096).unwrap();
        assert_eq!(region.bytes(4000, 1000).len(), 96);
        assert_eq!(region.bytes_mut(5000, 1).len(), 0);
        assert!(region.address(4096, 1).is_none());
        assert!(region.address(usize::MAX, 2).is_none());
        assert!(region.address(0, 4096).is_some());
    }
}
