// atLeast[h, b] = live slots of head h whose rank is at least the number with the bits prefix, then b, then zeros: a step of the radix selection over
// many heads at once (quotas.ts). Digit 0 is the highest 8 bits, and has no prefix. atLeast[h, 256]: those above all that begin with the prefix.
// scores (f32, read as bits), shielded [heads, stride]; start, end [heads]; prefix [groups of `together` heads]; atLeast [heads, 257]. A workgroup is
// a head.
struct Params { heads: u32, together: u32, stride: u32, digit: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<u32>;
@group(0) @binding(2) var<storage, read> shielded: array<u32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read> prefix: array<u32>;
@group(0) @binding(6) var<storage, read_write> at_least: array<u32>;

override THREADS: u32;

var<workgroup> histogram: array<atomic<u32>, 257>;

/// Integers in the order of the scores, as in top_k.wgsl.
fn rank(at: u32) -> u32 {
  if (shielded[at] != 0u) { return 0xffffffffu; }
  let bits = scores[at];
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return 0u; } // NaN
  if (magnitude == 0u) { return 0x80000000u; } // -0 equals 0
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride;
  let shift = 24u - 8u * params.digit;
  let wanted = prefix[head / params.together];
  var above = 0u;
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) {
    let r = rank(base + slot);
    // shifts by 32 are none
    if (params.digit == 0u || (r >> (shift + 8u)) == wanted) {
      atomicAdd(&histogram[(r >> shift) & 255u], 1u);
    } else if ((r >> (shift + 8u)) > wanted) {
      above++;
    }
  }
  atomicAdd(&histogram[256], above);
  workgroupBarrier();
  for (var bucket = lane; bucket < 257u; bucket += THREADS) {
    var sum = 0u;
    for (var i = bucket; i < 257u; i++) { sum += atomicLoad(&histogram[i]); }
    at_least[head * 257u + bucket] = sum;
  }
}
