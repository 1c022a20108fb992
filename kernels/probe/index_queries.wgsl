// queries[s, j, :] = LN(W_j concat_h q_s,h) and counts[g, s, j] = (v_gj · x_s + c_gj) scale for the rows s that ask and the index heads j of a layer. raw:
// before rotation, row r = first + s * every begins at r * rowStep, head h of it at h * WIDTH, of which HEAD_DIM columns count; x [rows, hidden]; matrix
// [n, DIM, heads * HEAD_DIM]; affine [2, DIM]: gain and shift; weight [groups, n, hidden + 1]: v_gj, c_gj. queries [asking, n, DIM], counts [groups, asking, n].
// A workgroup is a row and an index head: its threads share each product. DIM is at most 64.
struct Params { asking: u32, first: u32, every: u32, rowStep: u32, heads: u32, hidden: u32, n: u32, groups: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> raw: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> matrix: array<f32>;
@group(0) @binding(4) var<storage, read> affine: array<f32>;
@group(0) @binding(5) var<storage, read> weight: array<f32>;
@group(0) @binding(6) var<storage, read_write> queries: array<f32>;
@group(0) @binding(7) var<storage, read_write> counts: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
override DIM: u32;
const EPSILON = 1e-5;

var<workgroup> parts: array<f32, THREADS>;
var<workgroup> index_query: array<f32, 64>;

fn total(lane: u32, mine: f32) -> f32 {
  parts[lane] = mine;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { parts[lane] += parts[lane + half]; }
  }
  workgroupBarrier();
  let sum = parts[0];
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let row = params.first + group.x * params.every;
  let pair = group.x * params.n + group.y;
  let columns = params.heads * HEAD_DIM;
  for (var d = 0u; d < DIM; d++) {
    var sum = 0.0;
    for (var i = lane; i < columns; i += THREADS) {
      sum += raw[row * params.rowStep + i / HEAD_DIM * WIDTH + i % HEAD_DIM] * matrix[(group.y * DIM + d) * columns + i];
    }
    let whole = total(lane, sum);
    if (lane == 0u) { index_query[d] = whole; }
  }
  for (var g = 0u; g < params.groups; g++) {
    let first = (g * params.n + group.y) * (params.hidden + 1u);
    var sum = 0.0;
    for (var i = lane; i < params.hidden; i += THREADS) { sum += x[row * params.hidden + i] * weight[first + i]; }
    let whole = total(lane, sum);
    if (lane == 0u) { counts[g * params.asking * params.n + pair] = (whole + weight[first + params.hidden]) * params.scale; }
  }
  var mean = 0.0;
  for (var d = 0u; d < DIM; d++) { mean += index_query[d]; }
  mean /= f32(DIM);
  var variance = 0.0;
  for (var d = 0u; d < DIM; d++) { variance += (index_query[d] - mean) * (index_query[d] - mean); }
  let norm = 1.0 / sqrt(variance / f32(DIM) + EPSILON);
  for (var d = lane; d < DIM; d += THREADS) {
    queries[pair * DIM + d] = (index_query[d] - mean) * norm * affine[d] + affine[DIM + d];
  }
}
