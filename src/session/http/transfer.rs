//! One body on its way from one connection to the other: as it is, in chunks of this program's own making, or through
//! a pipe while it is bulk.
//!
//! The framing decided on when the head was read is all that counts: a body of known length ends with its last byte,
//! and what follows stays in the source's input.

use super::connection::{Connection, JOINED_BYTES_MAX, WAITING_SEGMENTS_MAX};
use crate::config::model::SpliceChoice;
use crate::io::{BufferClass, Driver, PipeId};
use crate::policy::compression::Compressor;
use crate::proto::http1::chunked::ChunkedDecoder;
use crate::session::relay::SPLICE_BYTES_PER_TURN;
use crate::shared::cache::Store;
use bytes::Bytes;
use std::io::ErrorKind;

/// How the source says where the body ends.
#[derive(Debug)]
pub enum Framing {
    Nothing,
    /// Bytes still to come.
    Length(u64),
    Chunked(ChunkedDecoder),
    /// The end of the stream is the end of the body; also both directions of a tunnel.
    UntilClose,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Its bytes alone: the head says the length, or the end of the stream does.
    Plain,
    Chunked,
    /// Not at all (an answer to a client that has gone, the answer to HEAD).
    Discarded,
}

/// Where a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Running,
    /// All of it was handed to the target's output.
    Done,
    /// The stream ended inside the body.
    Broken,
    /// What came is no chunked body.
    Malformed,
    SourceFailed(i32),
    TargetFailed(i32),
}

/// Pipe fillings per wake-up, so that one bulk body does not starve the others.
const SPLICE_ROUNDS: usize = 8;
/// A body with less to come is not worth a pipe.
const SPLICE_BYTES_MIN: u64 = 64 * 1024;
/// A body that says it is this long is bulk from its start.
pub const BULK_LENGTH_BYTES: u64 = 256 * 1024;
/// What a compressor gets of a stored body at a time.
const STORED_PART_BYTES: usize = 16 * 1024;
/// Wake-ups in a row that move less than this end the splicing of a stream without known length.
const QUIET_BYTES: usize = 4096;
const QUIET_RUN: u8 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Copy,
    /// Waits for the armed receive to end and for what was received to be sent.
    Turning,
    Splice,
}

/// See the module's text.
pub struct Transfer {
    framing: Framing,
    encoding: Encoding,
    mode: Mode,
    choice: SpliceChoice,
    pipe: Option<PipeId>,
    pipe_bytes: usize,
    quiet_run: u8,
    done: bool,
    /// `compression`: what is written is made of what comes.
    pub compressor: Option<Box<Compressor>>,
    /// The body is kept in a cache on its way.
    store: Option<Box<Store>>,
    /// There is no source: the body comes from a cache, and this is left of it.
    stored: Option<Bytes>,
    /// Body bytes taken from the source.
    pub bytes: u64,
    out: Vec<u8>,
}

impl Transfer {
    pub fn new(framing: Framing, encoding: Encoding, choice: SpliceChoice) -> Self {
        let done = matches!(framing, Framing::Nothing | Framing::Length(0));
        Transfer {
            framing,
            encoding,
            mode: Mode::Copy,
            choice,
            pipe: None,
            pipe_bytes: 0,
            quiet_run: 0,
            // An empty body in chunks still has its last chunk.
            done: done && encoding != Encoding::Chunked,
            compressor: None,
            store: None,
            stored: None,
            bytes: 0,
            out: Vec::new(),
        }
    }

    pub fn nothing() -> Self {
        Self::new(Framing::Nothing, Encoding::Plain, SpliceChoice::Never)
    }

    /// A body that comes from a cache.
    pub fn of_stored(body: Bytes, is_chunked: bool) -> Self {
        let framing = Framing::Length(body.len() as u64);
        let encoding = if is_chunked { Encoding::Chunked } else { Encoding::Plain };
        Transfer { stored: Some(body), ..Self::new(framing, encoding, SpliceChoice::Never) }
    }

    /// From now on what comes is kept, too. `held`: what came before.
    pub fn keep_in(&mut self, mut store: Box<Store>, held: &[u8]) {
        if held.is_empty() || store.push(held) {
            self.store = Some(store);
        }
    }

    /// The body has come to its end: what was kept of it is whole.
    pub fn complete_store(&mut self, now_us: u64) {
        if let Some(store) = self.store.take() {
            store.complete(now_us);
        }
    }

    /// What was not whole is not kept.
    pub fn let_go_of_caches(&mut self) {
        (self.store, self.stored) = (None, None);
    }

    /// Keeps a part, until one is too much.
    fn keep(&mut self, data: &[u8]) {
        if let Some(store) = &mut self.store
            && !store.push(data)
        {
            self.store = None;
        }
    }

    pub fn is_done(&self) -> bool {
        self.done
    }
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
    /// The reader learns from the end of the stream alone that this was all.
    pub fn ends_with_stream(&self) -> bool {
        matches!(self.framing, Framing::UntilClose) && self.encoding == Encoding::Plain
    }
    /// Bytes were taken from the source.
    pub fn has_begun(&self) -> bool {
        self.bytes > 0
    }
    /// The body says its length, and this much of it is to come.
    pub fn bytes_left(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            _ => None,
        }
    }
    /// From now on what comes is read and thrown away.
    pub fn discard_rest(&mut self) {
        self.encoding = Encoding::Discarded;
    }
    pub fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
        self.done = matches!(self.framing, Framing::Nothing | Framing::Length(0)) && encoding != Encoding::Chunked;
    }

    /// Moves what can be moved; arms or pauses the source's receive as the target's room wants it.
    pub fn advance<D: Driver>(
        &mut self,
        driver: &mut D,
        source: &mut Connection,
        target: &mut Connection,
        now_us: u64,
    ) -> Progress {
        if self.done {
            return Progress::Done;
        }
        match self.mode {
            Mode::Copy => self.copy(driver, source, target),
            Mode::Turning => self.turn(driver, source, target, now_us),
            Mode::Splice => self.splice(driver, source, target, now_us),
        }
    }

    /// Hands a stored body to the target: as it is without a copy, or a part at a time through the compressor.
    pub fn advance_stored<D: Driver>(&mut self, driver: &mut D, target: &mut Connection) -> Progress {
        let Some(body) = self.stored.take() else { return Progress::Done };
        if self.compressor.is_none() {
            self.bytes = body.len() as u64;
            if self.encoding == Encoding::Chunked && !body.is_empty() {
                target.push_bytes(driver, format!("{:x}\r\n", body.len()).as_bytes());
            }
            target.push_shared(driver, body.clone());
            if self.encoding == Encoding::Chunked {
                let last: &[u8] = if body.is_empty() { b"0\r\n\r\n" } else { b"\r\n0\r\n\r\n" };
                target.push_bytes(driver, last);
            }
            self.done = true;
            return Progress::Done;
        }
        let mut left = body;
        while target.output_segments() < WAITING_SEGMENTS_MAX {
            let part = left.split_to(left.len().min(STORED_PART_BYTES));
            self.bytes += part.len() as u64;
            self.write_to(driver, Some(target), &part, left.is_empty());
            if self.done {
                return Progress::Done;
            }
        }
        self.stored = Some(left);
        Progress::Running
    }

    pub fn is_stored(&self) -> bool {
        self.stored.is_some()
    }

    fn copy<D: Driver>(&mut self, driver: &mut D, source: &mut Connection, target: &mut Connection) -> Progress {
        while source.has_input() && target.output_segments() < WAITING_SEGMENTS_MAX {
            if let Err(broken) = self.take_segment(driver, source, Some(target)) {
                return broken;
            }
            if self.done {
                return Progress::Done;
            }
        }
        if source.end_of_stream() && !source.has_input() {
            return self.stream_ended(driver, source, target);
        }
        if self.wants_splice(source) {
            self.mode = Mode::Turning;
            source.pause(driver);
            return Progress::Running;
        }
        if source.waiting_segments() >= WAITING_SEGMENTS_MAX {
            source.pause(driver);
        } else if source.is_receive_over() && !source.has_input() {
            let bulk = source.is_bulk() && self.choice == SpliceChoice::Never;
            source.set_class(if bulk { BufferClass::Large } else { BufferClass::Small });
            source.receive(driver);
        }
        Progress::Running
    }

    /// Reads from the source what a rule wants to see before anything is sent: at most `bytes_max` bytes of body go
    /// to `held`.
    pub fn hold<D: Driver>(
        &mut self,
        driver: &mut D,
        source: &mut Connection,
        held: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Progress {
        while source.has_input() && held.len() < bytes_max && !self.done {
            let front = source.front(driver);
            let room = bytes_max - held.len();
            let taken = match &mut self.framing {
                Framing::Nothing => 0,
                Framing::Length(left) => {
                    let take = front.len().min(room).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    held.extend_from_slice(&front[..take]);
                    *left -= take as u64;
                    self.done = *left == 0;
                    take
                }
                Framing::Chunked(decoder) => {
                    // A chunk's frame is not counted: the bound is on what is kept.
                    let part = &front[..front.len().min(room)];
                    match decoder.decode(part, |data| held.extend_from_slice(data)) {
                        Ok(taken) => {
                            self.done = decoder.is_done();
                            taken
                        }
                        Err(_) => return Progress::Malformed,
                    }
                }
                Framing::UntilClose => {
                    let take = front.len().min(room);
                    held.extend_from_slice(&front[..take]);
                    take
                }
            };
            self.bytes += taken as u64;
            source.consume(driver, taken);
            if taken == 0 {
                break;
            }
        }
        if self.done {
            return Progress::Done;
        }
        if source.end_of_stream() && !source.has_input() {
            self.done = matches!(self.framing, Framing::UntilClose) && !source.has_failed();
            return if self.done { Progress::Done } else { Progress::Broken };
        }
        if held.len() < bytes_max && source.is_receive_over() {
            source.receive(driver);
        }
        Progress::Running
    }

    /// The body was held whole, and is written as one piece: what the transfer does with it now.
    pub fn send_held<D: Driver>(&mut self, driver: &mut D, target: &mut Connection, held: &[u8], complete: bool) {
        self.out.clear();
        self.write_data(held);
        if complete {
            self.write_last();
        }
        let out = std::mem::take(&mut self.out);
        target.push_bytes(driver, &out);
        self.keep_out(out);
        self.done = complete;
    }

    /// As [`Transfer::send_held`], behind a head that is about to be sent.
    pub fn append_held(&mut self, held: &[u8], complete: bool, head: &mut Vec<u8>) {
        self.out.clear();
        self.write_data(held);
        if complete {
            self.write_last();
        }
        head.extend_from_slice(&self.out);
        self.done = complete;
    }

    fn keep_out(&mut self, out: Vec<u8>) {
        if out.capacity() <= 64 * 1024 {
            self.out = out;
        }
    }

    /// Puts the body's bytes that are here behind its head, when they are few: one send instead of two.
    pub fn join<D: Driver>(&mut self, driver: &mut D, source: &mut Connection, head: &mut Vec<u8>) {
        if self.encoding != Encoding::Plain || self.compressor.is_some() || self.done {
            return;
        }
        let Framing::Length(left) = &mut self.framing else { return };
        while source.has_input() && *left > 0 {
            let front = source.front(driver);
            let take = front.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            if head.len() + take > JOINED_BYTES_MAX {
                return;
            }
            head.extend_from_slice(&front[..take]);
            if let Some(store) = &mut self.store
                && !store.push(&front[..take])
            {
                self.store = None;
            }
            *left -= take as u64;
            self.bytes += take as u64;
            source.consume(driver, take);
        }
        self.done = *left == 0;
    }

    /// Takes the source's first segment, as much of it as belongs to the body. Without a target it is dropped.
    fn take_segment<D: Driver>(
        &mut self,
        driver: &mut D,
        source: &mut Connection,
        target: Option<&mut Connection>,
    ) -> Result<(), Progress> {
        let front_bytes = source.front(driver).len();
        let plain = self.encoding == Encoding::Plain && self.compressor.is_none();
        match &mut self.framing {
            Framing::Nothing => self.done = true,
            Framing::Length(left) => {
                let take = front_bytes.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= take as u64;
                let last = *left == 0;
                self.bytes += take as u64;
                self.move_bytes(driver, source, target, take, plain, last);
            }
            Framing::UntilClose => {
                self.bytes += front_bytes as u64;
                self.move_bytes(driver, source, target, front_bytes, plain, false);
            }
            Framing::Chunked(decoder) => {
                let mut data = Vec::new();
                let taken = decoder.decode(source.front(driver), |part| data.extend_from_slice(part));
                let Ok(taken) = taken else { return Err(Progress::Malformed) };
                let last = decoder.is_done();
                self.keep(&data);
                self.bytes += data.len() as u64;
                source.consume(driver, taken);
                self.write_to(driver, target, &data, last);
            }
        }
        Ok(())
    }

    fn move_bytes<D: Driver>(
        &mut self,
        driver: &mut D,
        source: &mut Connection,
        target: Option<&mut Connection>,
        count: usize,
        plain: bool,
        last: bool,
    ) {
        if self.store.is_some() {
            self.keep(source.front(driver).get(..count).unwrap_or_default());
        }
        let whole = count == source.front(driver).len();
        if plain && whole {
            if let (Some(segment), Some(target)) = (source.take_front(), target) {
                target.push(driver, segment);
            }
            self.done = last;
            return;
        }
        if self.encoding == Encoding::Discarded {
            source.consume(driver, count);
            self.done = last;
            return;
        }
        let data = source.front(driver)[..count].to_vec();
        source.consume(driver, count);
        self.write_to(driver, target, &data, last);
    }

    fn write_to<D: Driver>(&mut self, driver: &mut D, target: Option<&mut Connection>, data: &[u8], last: bool) {
        self.out.clear();
        self.write_data(data);
        if last {
            self.write_last();
        }
        self.done = last;
        if let Some(target) = target
            && self.encoding != Encoding::Discarded
        {
            let out = std::mem::take(&mut self.out);
            target.push_bytes(driver, &out);
            self.keep_out(out);
        }
    }

    /// Appends `data` as the encoding has it.
    fn write_data(&mut self, data: &[u8]) {
        let mut compressed = Vec::new();
        let data = match &mut self.compressor {
            Some(compressor) => {
                compressor.push(data, &mut compressed);
                &compressed[..]
            }
            None => data,
        };
        write_piece(self.encoding, data, &mut self.out);
    }

    fn write_last(&mut self) {
        if let Some(compressor) = &mut self.compressor {
            let mut rest = Vec::new();
            compressor.finish(&mut rest);
            write_piece(self.encoding, &rest, &mut self.out);
        }
        if self.encoding == Encoding::Chunked {
            self.out.extend_from_slice(b"0\r\n");
            if let Framing::Chunked(decoder) = &self.framing {
                self.out.extend_from_slice(decoder.trailers());
            }
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn stream_ended<D: Driver>(&mut self, driver: &mut D, source: &Connection, target: &mut Connection) -> Progress {
        if !matches!(self.framing, Framing::UntilClose) || source.has_failed() {
            return Progress::Broken;
        }
        self.write_to(driver, Some(target), &[], true);
        Progress::Done
    }

    fn wants_splice(&self, source: &Connection) -> bool {
        let enough = match self.framing {
            Framing::Length(left) => left >= SPLICE_BYTES_MIN,
            Framing::UntilClose => true,
            Framing::Nothing | Framing::Chunked(_) => false,
        };
        let bulk = match self.choice {
            SpliceChoice::Adaptive => {
                source.is_bulk() || matches!(self.framing, Framing::Length(left) if left >= BULK_LENGTH_BYTES)
            }
            SpliceChoice::Always => true,
            SpliceChoice::Never => false,
        };
        enough && bulk && self.encoding == Encoding::Plain && self.compressor.is_none() && self.store.is_none()
    }

    /// Bulk: the armed receive has to end, and what it brought has to go, before the pipe may be used.
    fn turn<D: Driver>(
        &mut self,
        driver: &mut D,
        source: &mut Connection,
        target: &mut Connection,
        now_us: u64,
    ) -> Progress {
        while source.has_input() && target.output_segments() < WAITING_SEGMENTS_MAX {
            if let Err(broken) = self.take_segment(driver, source, Some(&mut *target)) {
                return broken;
            }
            if self.done {
                return Progress::Done;
            }
        }
        if !source.is_receive_over() || source.has_input() || !target.is_drained() {
            return Progress::Running;
        }
        if source.end_of_stream() {
            return self.stream_ended(driver, source, target);
        }
        match driver.take_pipe() {
            Some(pipe) => {
                self.pipe = Some(pipe);
                self.mode = Mode::Splice;
                self.splice(driver, source, target, now_us)
            }
            None => {
                // All pipes are in use: large copies do.
                self.choice = SpliceChoice::Never;
                self.mode = Mode::Copy;
                self.copy(driver, source, target)
            }
        }
    }

    fn splice<D: Driver>(
        &mut self,
        driver: &mut D,
        source: &mut Connection,
        target: &mut Connection,
        now_us: u64,
    ) -> Progress {
        // In a tunnel the other polls of the two are the other direction's.
        if source.is_polling_readable() || target.is_polling_writable() {
            return Progress::Running;
        }
        let Some(pipe) = self.pipe.or_else(|| driver.take_pipe()) else {
            (self.choice, self.mode) = (SpliceChoice::Never, Mode::Copy);
            return self.copy(driver, source, target);
        };
        self.pipe = Some(pipe);
        let mut moved = 0;
        for _ in 0..SPLICE_ROUNDS {
            let left = match self.framing {
                Framing::Length(left) => usize::try_from(left).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            let capacity = driver.pipe_capacity_bytes(pipe);
            // What the target has not taken yet goes out first.
            let room = if self.pipe_bytes > 0 { 0 } else { capacity.min(left) };
            let mut drained = false;
            if room > 0 && !source.end_of_stream() {
                match driver.splice_in(source.socket, pipe, room) {
                    Ok(0) => source.set_end_of_stream(),
                    Ok(count) => {
                        self.pipe_bytes += count;
                        self.bytes += count as u64;
                        source.note_spliced(count, 0, now_us);
                        if let Framing::Length(left) = &mut self.framing {
                            *left = left.saturating_sub(count as u64);
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => drained = self.pipe_bytes == 0,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Progress::SourceFailed(error.raw_os_error().unwrap_or(libc::EIO)),
                }
            }
            while self.pipe_bytes > 0 {
                match driver.splice_out(pipe, target.socket, self.pipe_bytes) {
                    Ok(count) if count > 0 => {
                        moved += count;
                        self.pipe_bytes -= count.min(self.pipe_bytes);
                        target.note_spliced(0, count, now_us);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() != ErrorKind::WouldBlock => {
                        return Progress::TargetFailed(error.raw_os_error().unwrap_or(libc::EIO));
                    }
                    _ => {
                        target.poll_writable(driver);
                        return Progress::Running;
                    }
                }
            }
            let complete = matches!(self.framing, Framing::Length(0));
            if complete || source.end_of_stream() {
                self.return_pipe(driver);
                self.mode = Mode::Copy;
                source.forget_bulk();
                self.done = complete || matches!(self.framing, Framing::UntilClose);
                return if self.done { Progress::Done } else { Progress::Broken };
            }
            if drained || moved >= SPLICE_BYTES_PER_TURN {
                break;
            }
        }
        self.return_pipe(driver);
        self.quiet_run = if moved < QUIET_BYTES { self.quiet_run + 1 } else { 0 };
        if self.quiet_run >= QUIET_RUN && self.choice == SpliceChoice::Adaptive {
            self.quiet_run = 0;
            self.mode = Mode::Copy;
            source.forget_bulk();
            source.receive(driver);
            return Progress::Running;
        }
        source.poll_readable(driver);
        Progress::Running
    }

    /// Gives a held pipe back: at the end, whatever it was.
    pub fn return_pipe<D: Driver>(&mut self, driver: &mut D) {
        if let Some(pipe) = self.pipe.take() {
            driver.return_pipe(pipe);
        }
        self.pipe_bytes = 0;
    }
}

fn write_piece(encoding: Encoding, data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    if encoding == Encoding::Chunked {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    }
    out.extend_from_slice(data);
    if encoding == Encoding::Chunked {
        out.extend_from_slice(b"\r\n");
    }
}
