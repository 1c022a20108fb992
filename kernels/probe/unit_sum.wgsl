// parts[h, b, :] = sum of k[h, s, 0..HEAD_DIM] / |k[h, s]| over the live slots s of block b, among the newest `newest` of the head; a key of zeros adds
// nothing. A block is 128 slots from the first of these on.
// keys [heads, stride, WIDTH]; start, end [all heads]; parts [heads, blocks, HEAD_DIM], only blocks with such slots are written.
// Workgroups: x over blocks, y over heads: sixteen threads share a row for its length, then threads go down the columns.
struct Params { heads: u32, firstHead: u32, stride: u32, newest: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<stored>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
const SHARING = 16u;
const BLOCK = 128u;

var<workgroup> sums: array<f32, THREADS>;
var<workgroup> scales: array<f32, BLOCK>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let head = params.firstHead + group.y;
  let last = end[head];
  let oldest = last - min(last - start[head], params.newest);
  let first = oldest + group.x * BLOCK;
  if (first >= last) { return; }
  let count = min(last - first, BLOCK);
  let run = (group.y * params.stride + first) * WIDTH;

  for (var above = 0u; above < BLOCK; above += THREADS / SHARING) {
    let row = above + lane / SHARING;
    var sum = 0.0;
    if (row < count) {
      for (var d = lane % SHARING; d < HEAD_DIM; d += SHARING) {
        let x = f32(keys[run + row * WIDTH + d]);
        sum += x * x;
      }
    }
    sums[lane] = sum;
    for (var half = SHARING / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane % SHARING < half) { sums[lane] += sums[lane + half]; }
    }
    if (lane % SHARING == 0u) { scales[row] = select(0.0, 1.0 / sqrt(sums[lane]), sums[lane] > 0.0); }
    workgroupBarrier();
  }

  // threads beside each other have neighbouring columns; where there are more threads than columns, several share one
  let width = min(HEAD_DIM, THREADS);
  let shares = THREADS / width;
  for (var left = 0u; left < HEAD_DIM; left += width) {
    let column = left + lane % width;
    var sum = 0.0;
    if (column < HEAD_DIM && lane / width < shares) {
      for (var row = lane / width; row < count; row += shares) { sum += f32(keys[run + row * WIDTH + column]) * scales[row]; }
    }
    workgroupBarrier();
    sums[lane] = sum;
    workgroupBarrier();
    if (lane < width && column < HEAD_DIM) {
      for (var share = 1u; share < shares; share++) { sum += sums[share * width + lane]; }
      parts[(group.y * groups.x + group.x) * HEAD_DIM + column] = sum;
    }
  }
}
