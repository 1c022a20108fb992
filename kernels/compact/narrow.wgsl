// pool[h, slot, COLUMN] = hidden for start + sinks <= slot < first, 0 for the other live slots, where first is the first live slot of a token from
// firstSource on: what a head knows of earlier tokens gets no attention, but for its sinks. pool [heads of the layer, stride, WORDS], keys of a wide cache;
// source [all heads, stride]; start, end [all heads]. A workgroup is a head.
struct Params { firstHead: u32, kvHeads: u32, stride: u32, sinks: u32, firstSource: i32, hidden: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<i32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> pool: array<stored>;

override THREADS: u32;
override WORDS: u32;
override COLUMN: u32;

var<workgroup> first: atomic<u32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.x;
  let begin = start[head];
  let last = end[head];
  if (lane == 0u) { atomicStore(&first, last); }
  workgroupBarrier();
  for (var slot = begin + lane; slot < last; slot += THREADS) {
    if (source[head * params.stride + slot] >= params.firstSource) {
      atomicMin(&first, slot);
      break;
    }
  }
  workgroupBarrier();
  let until = atomicLoad(&first);
  for (var slot = begin + lane; slot < last; slot += THREADS) {
    pool[(group.x * params.stride + slot) * WORDS + COLUMN] = stored(select(0.0, params.hidden, slot >= begin + params.sinks && slot < until));
  }
}
