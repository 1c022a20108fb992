// scores[h, e - n + i] = lambda A_i - (1 - lambda) R_i for i < n - 8, infinity for the last 8, n = written, e = end[h] (R-KV): A is the largest of 7
// neighbours' momentum, over the sum of all candidates'; R the softmax over all n of (likeness_i - sum of cosine_j for which i is the duplicate) / n.
// Afterwards the momentum of what is written is 0.
// likeness, duplicate, cosine [heads, written] of rkv_redundancy.wgsl; end [heads]; momentum, scores (as bits: an infinity can be written in no other way)
// [heads, stride]. A workgroup is a head.
struct Params { heads: u32, stride: u32, written: u32, lambda: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> likeness: array<f32>;
@group(0) @binding(2) var<storage, read> duplicate: array<u32>;
@group(0) @binding(3) var<storage, read> cosine: array<f32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read_write> momentum: array<f32>;
@group(0) @binding(6) var<storage, read_write> scores: array<u32>;

override THREADS: u32;
const WINDOW = 8u;
const RADIUS = 3u;

var<workgroup> parts: array<f32, THREADS>;

fn sum(lane: u32, mine: f32) -> f32 {
  workgroupBarrier();
  parts[lane] = mine;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { parts[lane] += parts[lane + half]; }
  }
  workgroupBarrier();
  return parts[0];
}

fn largest(lane: u32, mine: f32) -> f32 {
  workgroupBarrier();
  parts[lane] = mine;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { parts[lane] = max(parts[lane], parts[lane + half]); }
  }
  workgroupBarrier();
  return parts[0];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let n = params.written;
  let head = group.x;
  let pairs = head * n;
  let slots = head * params.stride + end[head] - n;
  let candidates = n - min(n, WINDOW);

  var most = -3.4028234e38;
  var attention = 0.0;
  for (var i = lane; i < n; i += THREADS) {
    var own = likeness[pairs + i];
    for (var j = 0u; j < n; j++) { if (duplicate[pairs + j] == i) { own -= cosine[pairs + j]; } }
    own /= f32(n);
    scores[slots + i] = bitcast<u32>(own);
    most = max(most, own);
    if (i < candidates) { attention += momentum[slots + i]; }
  }
  most = largest(lane, most);
  var total = 0.0;
  for (var i = lane; i < n; i += THREADS) { total += exp(bitcast<f32>(scores[slots + i]) - most); }
  total = sum(lane, total);
  attention = sum(lane, attention);
  if (attention == 0.0) { attention = 1.0; }
  for (var i = lane; i < n; i += THREADS) {
    var near = 0.0;
    for (var k = i - min(i, RADIUS); k <= i + RADIUS && k < candidates; k++) { near = max(near, momentum[slots + k]); }
    let redundancy = exp(bitcast<f32>(scores[slots + i]) - most) / total;
    let score = params.lambda * near / attention - (1.0 - params.lambda) * redundancy;
    scores[slots + i] = select(bitcast<u32>(score), 0x7f800000u, i >= candidates);
  }
  storageBarrier();
  for (var i = lane; i < n; i += THREADS) { momentum[slots + i] = 0.0; }
}
