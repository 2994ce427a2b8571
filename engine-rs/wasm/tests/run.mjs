// Runs a script of pushes and pulls through the module, as a page would: node run.mjs MODULE SCRIPT PCM STATS
// A script is a sequence of records, little-endian: push 0 | f64 µs | f64 group | u32 length | bytes, pull 1 | f64 µs | u32 samples.
import { readFileSync, writeFileSync } from "node:fs";

const [module, script, pcmFile, statsFile] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(module), {});
const engine = instance.exports;
const { memory } = engine;

const receiver = engine.spaces_create(20, 500, 40);
const records = readFileSync(script);
const pcm = [];
let speaking = 0;
for (let at = 0; at < records.length; ) {
  const kind = records.readUInt8(at);
  const now = records.readDoubleLE(at + 1);
  if (kind === 0) {
    const group = records.readDoubleLE(at + 9);
    const length = records.readUInt32LE(at + 17);
    const bytes = records.subarray(at + 21, at + 21 + length);
    new Uint8Array(memory.buffer, engine.spaces_input(receiver), length).set(bytes);
    engine.spaces_push(receiver, now, group, length);
    at += 21 + length;
  } else {
    const samples = engine.spaces_pull(receiver, now, records.readUInt32LE(at + 9));
    pcm.push(new Float32Array(memory.buffer, engine.spaces_output(receiver), samples).slice());
    speaking += new Uint8Array(memory.buffer, engine.spaces_speaking(receiver), 13).filter((level) => level < 255).length;
    at += 13;
  }
}
const stats = [...new Float64Array(memory.buffer, engine.spaces_stats(receiver), 15)];
writeFileSync(pcmFile, Buffer.concat(pcm.map((block) => Buffer.from(block.buffer))));

// What does not exist is ignored; room comes back.
engine.spaces_push(99, 0, 0, 10);
const none = [engine.spaces_pull(0, 0, 480), engine.spaces_pull(receiver, 0, 5761), engine.spaces_output(77)];
const many = Array.from({ length: 16 }, () => engine.spaces_create(20, 500, 40));
engine.spaces_destroy(many[3]);
const again = engine.spaces_create(1e9, 0, 7);
writeFileSync(statsFile, [...stats, speaking, ...none, many[14], many[15], again === many[3] ? 1 : 0, memory.buffer.byteLength].join("\n"));
