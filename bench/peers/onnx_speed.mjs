// onnx_speed.mjs - times a model in ONNX Runtime, one thread: node onnx_speed.mjs MODULE MODEL BATCH SIDE SECONDS CLOCK
// prints the median and the best time of a picture in milliseconds, by the clock (wall) or of the processor.
// onnx_speed.sh installs MODULE.
import { createRequire } from 'node:module';

const [module, model, batch, side, seconds, clock] = process.argv.slice(2);
const ort = createRequire(import.meta.url)(module);
const session = await ort.InferenceSession.create(model, {
  intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential',
});
const n = Number(batch), s = Number(side);
const values = Float32Array.from({ length: n * 3 * s * s }, (_, i) => ((i * 7919) % 255) / 128 - 1);
const feeds = { input: new ort.Tensor('float32', values, [n, 3, s, s]) };

function now() {
  const of = process.cpuUsage();
  return clock === 'processor' ? (of.user + of.system) / 1000 : performance.now();
}
const times = [];
for (let i = 0; i < 3; i++) await session.run(feeds);
for (const end = now() + 1000 * Number(seconds); now() < end || times.length < 3;) {
  const start = now();
  await session.run(feeds);
  times.push((now() - start) / n);
}
times.sort((a, b) => a - b);
console.log(times[times.length >> 1].toFixed(4), times[0].toFixed(4));
