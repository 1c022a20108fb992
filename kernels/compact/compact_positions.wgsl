// position[h, start + i] = i for the sinks, longest - count[h] + i for the other slots i < count[h]: compact positions, after the rows moved.
// position [heads, stride]; count [heads]; longest is the largest count of all heads, start as in gather.wgsl. A workgroup is a head.
struct Params { heads: u32, kvHeads: u32, stride: u32, sinks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> count: array<u32>;
@group(0) @binding(2) var<storage, read_write> position: array<i32>;

override THREADS: u32;

var<workgroup> longest: atomic<u32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  for (var head = lane; head < params.heads; head += THREADS) { atomicMax(&longest, count[head]); }
  workgroupBarrier();
  let head = group.x;
  let total = count[head];
  let layer = head - head % params.kvHeads;
  var end = 0u;
  for (var other = layer; other < layer + params.kvHeads; other++) { end = max(end, count[other]); }
  let first = head * params.stride + end - total;
  let shift = atomicLoad(&longest) - total;
  for (var row = lane; row < total; row += THREADS) {
    position[first + row] = i32(select(row + shift, row, row < params.sinks));
  }
}
