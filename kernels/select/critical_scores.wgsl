// final[h, slot] = (scores[h, slot] - lowest[h] + epsilon) valueNorm[h, slot] for live slots, lowest the head's lowest score where that is negative,
// else 0; and first[h] = min(quota[h], max(guarded[h], 1, trunc(share quota[h]))): what the second stage of critical.ts compares, and how many slots
// the first takes. scores, final (f32, as bits: infinities and NaN must not reach arithmetic, which may assume that there are none), valueNorm
// (finite) [heads, stride]; start, end, quota, guarded, first [heads]. A workgroup is a head.
struct Params { heads: u32, stride: u32, share: f32, epsilon: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<u32>;
@group(0) @binding(2) var<storage, read> value_norm: array<f32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read> quota: array<u32>;
@group(0) @binding(6) var<storage, read> guarded: array<u32>;
@group(0) @binding(7) var<storage, read_write> final_scores: array<u32>;
@group(0) @binding(8) var<storage, read_write> first: array<u32>;

override THREADS: u32;

// As negative numbers' bits: the greatest is the lowest score.
var<workgroup> lowest: atomic<u32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride;
  var own = 0u;
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) {
    let bits = scores[base + slot];
    if ((bits >> 31u) == 1u && (bits & 0x7f800000u) != 0x7f800000u) { own = max(own, bits); }
  }
  atomicMax(&lowest, own);
  workgroupBarrier();
  let least = bitcast<f32>(atomicLoad(&lowest));
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) {
    let bits = scores[base + slot];
    let norm = value_norm[base + slot];
    if ((bits & 0x7f800000u) != 0x7f800000u) {
      final_scores[base + slot] = bitcast<u32>((bitcast<f32>(bits) - least + params.epsilon) * norm);
    } else {
      // infinity times nothing is NaN
      final_scores[base + slot] = select(bits, 0x7fc00000u, norm == 0.0);
    }
  }
  if (lane == 0u) {
    let part = u32(params.share * f32(quota[head]));
    first[head] = min(quota[head], max(max(guarded[head], 1u), part));
  }
}
