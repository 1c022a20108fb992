// pool[h, end[h] - rows + s, :] = LN(W x_s + b) for the rows s of a chunk and all heads h of a layer: their index keys. x [rows, hidden]; matrix
// [DIM, hidden]; affine [3, DIM]: b, then gain and shift of the norm; end [all heads]; pool [all heads, stride, DIM].
// A workgroup is a row: its threads share each of the DIM products. DIM is at most 64.
struct Params { heads: u32, firstHead: u32, stride: u32, rows: u32, hidden: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> matrix: array<f32>;
@group(0) @binding(3) var<storage, read> affine: array<f32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read_write> pool: array<f32>;

override THREADS: u32;
override DIM: u32;
const EPSILON = 1e-5;

var<workgroup> parts: array<f32, THREADS>;
var<workgroup> key: array<f32, 64>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let row = group.x;
  for (var d = 0u; d < DIM; d++) {
    var sum = 0.0;
    for (var i = lane; i < params.hidden; i += THREADS) { sum += x[row * params.hidden + i] * matrix[d * params.hidden + i]; }
    parts[lane] = sum;
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half) { parts[lane] += parts[lane + half]; }
    }
    if (lane == 0u) { key[d] = parts[0] + affine[d]; }
    workgroupBarrier();
  }
  var mean = 0.0;
  for (var d = 0u; d < DIM; d++) { mean += key[d]; }
  mean /= f32(DIM);
  var variance = 0.0;
  for (var d = 0u; d < DIM; d++) { variance += (key[d] - mean) * (key[d] - mean); }
  let scale = 1.0 / sqrt(variance / f32(DIM) + EPSILON);
  for (var at = lane; at < params.heads * DIM; at += THREADS) {
    let head = params.firstHead + at / DIM;
    let d = at % DIM;
    let slot = head * params.stride + end[head] - params.rows + row;
    pool[slot * DIM + d] = (key[d] - mean) * scale * affine[DIM + d] + affine[2u * DIM + d];
  }
}
