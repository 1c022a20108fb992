// scores[firstHead + h, s] = |v[h, s]| (where WEIGHTED, else 1) times the mean over the group's query heads q of exp(logits[q, s] - softmax[q].x) / softmax[q].y.
// values [heads, stride, WIDTH]; logits [heads GROUP, stride]; softmax [heads GROUP]; start, end [all heads]; scores [all heads, stride].
// Sixteen threads share a row; workgroups: x over rows, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<stored>;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> softmax: array<vec2f>;
@group(0) @binding(4) var<storage, read> start: array<u32>;
@group(0) @binding(5) var<storage, read> end: array<u32>;
@group(0) @binding(6) var<storage, read_write> scores: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
override GROUP: u32;
override WEIGHTED: bool;
const SHARING = 16u;

var<workgroup> squares: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.y;
  let first = start[head] + group.x * (THREADS / SHARING);
  if (first >= end[head]) { return; }
  let slot = first + lane / SHARING;
  var sum = 0.0;
  if (WEIGHTED && slot < end[head]) {
    let row = (group.y * params.stride + slot) * WIDTH;
    for (var d = lane % SHARING; d < HEAD_DIM; d += SHARING) { sum += f32(values[row + d]) * f32(values[row + d]); }
  }
  squares[lane] = sum;
  for (var half = SHARING / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % SHARING < half) { squares[lane] += squares[lane + half]; }
  }
  if (lane % SHARING != 0u || slot >= end[head]) { return; }
  var weight = 0.0;
  for (var query = group.y * GROUP; query < (group.y + 1u) * GROUP; query++) {
    weight += exp(logits[query * params.stride + slot] - softmax[query].x) / softmax[query].y;
  }
  scores[head * params.stride + slot] = weight / f32(GROUP) * select(1.0, sqrt(squares[lane]), WEIGHTED);
}
