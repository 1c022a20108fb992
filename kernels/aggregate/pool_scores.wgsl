// pooled[h, slot] = the largest of scores[h, i] over the neighbours |i - slot| <= RADIUS (LARGEST), or their sum / (2 RADIUS + 1), where what is beyond
// start <= i < end counts as nothing, or as zero.
// scores, pooled [all heads, stride]; start, end [all heads]. A workgroup takes THREADS slots of a head, and reads their neighbours once.
struct Params { heads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> pooled: array<f32>;

override THREADS: u32;
override RADIUS: u32;
override LARGEST: bool;

var<workgroup> near: array<f32, THREADS + 2u * RADIUS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let first = start[head];
  let last = end[head];
  let begin = first + group.x * THREADS;
  if (begin >= last) { return; }
  for (var j = lane; j < THREADS + 2u * RADIUS; j += THREADS) {
    // near[j] is slot begin + j - RADIUS
    let at = begin + j;
    if (at >= first + RADIUS && at < last + RADIUS) { near[j] = scores[head * params.stride + at - RADIUS]; }
  }
  workgroupBarrier();
  let slot = begin + lane;
  if (slot >= last) { return; }
  let left = lane + RADIUS - min(RADIUS, slot - first);
  let right = lane + RADIUS + min(RADIUS, last - 1u - slot);
  var value = near[left];
  for (var j = left + 1u; j <= right; j++) {
    if (LARGEST) { value = max(value, near[j]); } else { value += near[j]; }
  }
  if (!LARGEST) { value /= f32(2u * RADIUS + 1u); }
  pooled[head * params.stride + slot] = value;
}
