// scores[firstHead + h, s] = -cos(k[h, s], a_h), a_h = the sum over blocks of parts[h, b, :]: keys unlike the others stay.
// keys [heads, stride, WIDTH]; parts [heads, blocks, HEAD_DIM] of unit_sum.wgsl over all live slots; scores [all heads, stride]; start, end [all heads].
// Workgroups: x over blocks of 128 slots, y over heads: each adds up its head's blocks, then sixteen threads share a row.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<stored>;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read_write> scores: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
const SHARING = 16u;
const BLOCK = 128u;

var<workgroup> anchor: array<f32, HEAD_DIM>;
// Product with the anchor and square of the length.
var<workgroup> sums: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let head = params.firstHead + group.y;
  let first = start[head] + group.x * BLOCK;
  if (first >= end[head]) { return; }
  let blocks = (end[head] - start[head] + BLOCK - 1u) / BLOCK;
  var square = 0.0;
  for (var d = lane; d < HEAD_DIM; d += THREADS) {
    var sum = 0.0;
    for (var block = 0u; block < blocks; block++) { sum += parts[(group.y * groups.x + block) * HEAD_DIM + d]; }
    anchor[d] = sum;
    square += sum * sum;
  }
  sums[lane] = vec2f(square, 0.0);
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
  let unit = 1.0 / sqrt(sums[0].x);

  for (var above = 0u; above < BLOCK; above += THREADS / SHARING) {
    let row = above + lane / SHARING;
    let slot = first + row;
    var sum = vec2f(0.0);
    if (slot < end[head]) {
      let at = (group.y * params.stride + slot) * WIDTH;
      for (var d = lane % SHARING; d < HEAD_DIM; d += SHARING) {
        let x = f32(keys[at + d]);
        sum += x * vec2f(anchor[d], x);
      }
    }
    workgroupBarrier();
    sums[lane] = sum;
    for (var half = SHARING / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane % SHARING < half) { sums[lane] += sums[lane + half]; }
    }
    if (lane % SHARING == 0u && slot < end[head]) {
      scores[head * params.stride + slot] = -sums[lane].x * unit / sqrt(sums[lane].y);
    }
  }
}
