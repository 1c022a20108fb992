// position[h, i] = i for the sinks, longest - count[h] + i for the other slots i < count[h]: compact positions, after the rows moved.
// position [heads, stride]; count [heads]; longest is the largest count. A workgroup is a head.
struct Params { heads: u32, stride: u32, sinks: u32 }
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
  let shift = atomicLoad(&longest) - count[head];
  for (var slot = lane; slot < count[head]; slot += THREADS) {
    position[head * params.stride + slot] = i32(select(slot + shift, slot, slot < params.sinks));
  }
}
