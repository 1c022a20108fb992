// scores[firstHead + h, s] = -|k[h, s, 0..HEAD_DIM]|: short keys stay.
// keys [heads, stride, WIDTH]; scores [all heads, stride]; start, end [all heads].
// Sixteen threads share a row, so that neighbours read neighbours; workgroups: x over rows, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<stored>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
const SHARING = 16u;

var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.y;
  let first = start[head] + group.x * (THREADS / SHARING);
  if (first >= end[head]) { return; }
  let slot = first + lane / SHARING;
  var sum = 0.0;
  if (slot < end[head]) {
    let row = (group.y * params.stride + slot) * WIDTH;
    for (var d = lane % SHARING; d < HEAD_DIM; d += SHARING) { sum += f32(keys[row + d]) * f32(keys[row + d]); }
  }
  sums[lane] = sum;
  for (var half = SHARING / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % SHARING < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane % SHARING == 0u && slot < end[head]) { scores[head * params.stride + slot] = -sqrt(sums[lane]); }
}
