// Recording a room into files: what the command line uses.
export { type RecordedTrack, type Recording, recordingSchema } from './manifest.ts';
export type { MediaWay } from './receiver.ts';
export { RoomRecorder, type RoomRecorderOptions } from './room-recorder.ts';
