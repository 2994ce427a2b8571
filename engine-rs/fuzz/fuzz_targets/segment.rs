//! A segment log of any bytes. The input's first byte says whether a header and good records are put before it, so that
//! the checksum is no wall.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spaces_core::ids::SpaceId;
use spaces_core::segment::{Contents, HEADER, Header, Reader, Record, Writer};

const HEAD: Header = Header { space: SpaceId(1), part: 1, sequence: 0, started_at_ms: 2, salt: 3 };

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let mut file = Vec::new();
    if mode & 1 != 0 {
        let mut writer = Writer::new(&HEAD);
        writer.record(&Record::Start { group: 5, started_at_ms: 2 }).unwrap();
        file.extend_from_slice(&writer.take());
        if mode & 2 != 0 {
            // A record of any kind and payload whose checksum holds.
            let text = data.iter().map(|byte| char::from(byte & 0x7f)).take(8_000).collect();
            writer.record(&Record::Note(text)).unwrap();
            file.extend_from_slice(&writer.take());
        }
    }
    let good = file.len();
    file.extend_from_slice(data);
    let Ok((header, mut reader)) = Reader::new(&file) else { return };
    // A byte of the header that is put right is damage, too, but not between records.
    let mended = usize::from(Header::decode(&file).is_err());
    let mut writer = Writer::new(&header);
    writer.take();
    let (mut bytes, mut damaged) = (HEADER, 0);
    for item in reader.by_ref() {
        match item {
            // What is read is written as it stood in the file.
            Ok(record) => {
                writer.record(&record).unwrap();
                let written = writer.take();
                bytes += written.len();
                if damaged == mended {
                    assert_eq!(file[bytes - written.len()..bytes], written[..]);
                }
            }
            Err(damage) => {
                assert!(damage.bytes > 0);
                damaged += damage.bytes;
            }
        }
    }
    assert_eq!(bytes + damaged, reader.valid_len() + mended);
    assert!((good..=file.len()).contains(&reader.valid_len()) || good == 0);
    repair(&file);
    if let Ok(tail) = Reader::tail(&file, data) {
        assert!(tail.count() <= data.len());
    }
});

/// A clean copy is whole and closed, has every record that could be read, and is its own clean copy.
fn repair(file: &[u8]) {
    let contents = Contents::read(file).unwrap();
    let (copy, gaps) = contents.repaired().unwrap();
    let again = Contents::read(&copy).unwrap();
    assert!(again.is_whole() && again.is_closed());
    let mut kept = again.records.iter();
    assert!(contents.records.iter().all(|record| kept.any(|other| other == record)));
    assert!(gaps.iter().all(|gap| again.records.contains(gap)));
    assert_eq!(again.repaired().unwrap(), (copy, vec![]));
}
