// A[h, r, :] <- decay A[h, r, :] + eta Σ_i features[h, i, r] v_i and b[h, r] <- decay b[h, r] + eta Σ_i features[h, i, r]², over the slots i that head h
// loses; a head that loses none keeps both. values [heads, stride, WIDTH], of which D columns count; evicted [all heads, stride]; evictedCount [all
// heads]; features [heads, stride, rank]; sums [all heads, rank, D]; norms [all heads, rank].
// A workgroup is a row of a head's memory: each thread takes every THREADS-th column. Workgroups: x over rows, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32, rank: u32, eta: f32, decay: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<stored>;
@group(0) @binding(2) var<storage, read> evicted: array<u32>;
@group(0) @binding(3) var<storage, read> evictedCount: array<u32>;
@group(0) @binding(4) var<storage, read> features: array<f32>;
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;
@group(0) @binding(6) var<storage, read_write> norms: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;

var<workgroup> squares: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.y;
  let count = evictedCount[head];
  let run = group.y * params.stride;
  let row = head * params.rank + group.x;
  var mine = 0.0;
  for (var i = lane; i < count; i += THREADS) {
    let feature = features[(run + i) * params.rank + group.x];
    mine += feature * feature;
  }
  squares[lane] = mine;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { squares[lane] += squares[lane + half]; }
  }
  if (count == 0u) { return; }
  if (lane == 0u) { norms[row] = params.decay * norms[row] + params.eta * squares[0]; }
  for (var d = lane; d < D; d += THREADS) {
    var sum = 0.0;
    for (var i = 0u; i < count; i++) {
      let slot = evicted[head * params.stride + i];
      sum += features[(run + i) * params.rank + group.x] * f32(values[(run + slot) * WIDTH + d]);
    }
    sums[row * D + d] = params.decay * sums[row * D + d] + params.eta * sum;
  }
}
