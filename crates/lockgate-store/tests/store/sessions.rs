//! Recordings: what is written is read back, live, finished, cut and damaged.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lockgate_core::{Channel, SessionId};
use lockgate_store::limit::FRAME_BYTES_MAX;
use lockgate_store::{RecordingEnd, RecordingReader, SessionFilter, SessionState, StoreError};
use testkit::clock::PausedClock;
use testkit::store::FaultyStore;

use crate::sample::session;

async fn frames(reader: &mut RecordingReader) -> Vec<(u64, Channel, Bytes)> {
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().await.unwrap() {
        frames.push((frame.offset_us, frame.channel, frame.payload));
    }
    frames
}

fn file(fixture: &FaultyStore, id: SessionId) -> std::path::PathBuf {
    fixture.directory().join("recordings").join(format!("{id}.lgr"))
}

#[tokio::test]
async fn a_recording_is_read_back_while_live_and_when_finished() {
    let clock = PausedClock::default();
    let fixture = FaultyStore::new(Arc::new(clock.clone())).await;
    let store = &fixture.store;
    let id = store.new_session_id();
    let mut recorder = store.record_session(session(store, id)).await.unwrap();
    let list = async |state| {
        store.sessions(&SessionFilter { state: Some(state), ..SessionFilter::default() }).await.unwrap().len()
    };
    assert_eq!((list(SessionState::Live).await, list(SessionState::Ended).await), (1, 0));
    recorder.frame(Channel::Stdin, b"ls\n").await.unwrap();
    let mut live = store.recording(id).await.unwrap();
    assert_eq!(frames(&mut live).await, [(0, Channel::Stdin, Bytes::from_static(b"ls\n"))]);
    assert_eq!(*live.end(), RecordingEnd::Open);
    clock.advance(Duration::from_millis(3));
    recorder.frame(Channel::Stdout, b"a").await.unwrap();
    recorder.frame(Channel::Stdout, b"bc").await.unwrap();
    assert_eq!(frames(&mut live).await.len(), 2, "a live reader goes on");
    let ended = recorder.finish("completed", Some(0)).await.unwrap();
    assert_eq!(ended.channels[&Channel::Stdout].bytes, 3);
    // SHA-256 of "abc", from FIPS 180-4.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(ended.channels[&Channel::Stdout].sha256, abc);
    assert_eq!(store.session(id).await.unwrap(), Some(ended.clone()));
    assert_eq!((list(SessionState::Live).await, list(SessionState::Ended).await), (0, 1));
    let mut whole = store.recording(id).await.unwrap();
    assert_eq!(frames(&mut whole).await.len(), 3);
    assert_eq!(whole.digests(), ended.channels);
    let finished = RecordingEnd::Finished { end_reason: "completed".into(), exit_code: Some(0) };
    assert_eq!(*whole.end(), finished);
    assert_eq!(frames(&mut live).await, []);
    assert_eq!(*live.end(), finished);
}

#[tokio::test]
async fn a_message_larger_than_a_frame_is_whole_in_the_recording() {
    let fixture = FaultyStore::new(Arc::new(PausedClock::default())).await;
    let store = &fixture.store;
    let id = store.new_session_id();
    let mut recorder = store.record_session(session(store, id)).await.unwrap();
    let message: Vec<u8> = (0..=255).cycle().take(FRAME_BYTES_MAX * 2 + 5).collect();
    recorder.frame(Channel::Stdout, &message).await.unwrap();
    let ended = recorder.finish("completed", None).await.unwrap();
    let mut reader = store.recording(id).await.unwrap();
    let read = frames(&mut reader).await;
    assert_eq!(read.iter().flat_map(|(_, _, payload)| payload.to_vec()).collect::<Vec<_>>(), message);
    assert_eq!(reader.digests(), ended.channels);
}

#[tokio::test]
async fn a_cut_recording_ends_before_the_cut_and_a_changed_one_before_the_change() {
    let fixture = FaultyStore::new(Arc::new(PausedClock::default())).await;
    let store = &fixture.store;
    let id = store.new_session_id();
    let mut recorder = store.record_session(session(store, id)).await.unwrap();
    let mut ends = vec![std::fs::metadata(file(&fixture, id)).unwrap().len()];
    for payload in ["one", "two", "three"] {
        recorder.frame(Channel::Stdout, payload.as_bytes()).await.unwrap();
        ends.push(std::fs::metadata(file(&fixture, id)).unwrap().len());
    }
    drop(recorder);
    let bytes = std::fs::read(file(&fixture, id)).unwrap();
    for length in usize::try_from(ends[0]).unwrap()..bytes.len() {
        let whole = ends[1..].iter().filter(|end| **end <= u64::try_from(length).unwrap()).count();
        std::fs::write(file(&fixture, id), &bytes[..length]).unwrap();
        let mut cut = store.recording(id).await.unwrap();
        assert_eq!(frames(&mut cut).await.len(), whole, "cut at {length}");
        let clean = ends.contains(&u64::try_from(length).unwrap());
        assert_eq!(*cut.end(), if clean { RecordingEnd::Open } else { RecordingEnd::Torn }, "cut at {length}");
    }
    let mut changed = bytes.clone();
    changed[usize::try_from(ends[1]).unwrap() + 14] ^= 1;
    std::fs::write(file(&fixture, id), &changed).unwrap();
    let mut reader = store.recording(id).await.unwrap();
    assert_eq!(frames(&mut reader).await.len(), 1);
    assert_eq!(*reader.end(), RecordingEnd::Broken);
    std::fs::write(file(&fixture, id), &bytes[..10]).unwrap();
    assert!(matches!(store.recording(id).await, Err(StoreError::NotARecording { .. })));
    std::fs::remove_file(file(&fixture, id)).unwrap();
    assert!(matches!(store.recording(id).await, Err(StoreError::NoRecording { .. })));
}

#[tokio::test]
async fn a_session_without_a_durable_row_has_no_recorder() {
    let fixture = FaultyStore::new(Arc::new(PausedClock::default())).await;
    fixture.faults.fail();
    let id = fixture.store.new_session_id();
    assert!(fixture.store.record_session(session(&fixture.store, id)).await.is_err());
}
