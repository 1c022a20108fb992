// Step of a radix selection over all heads: of the evicted slots whose mass begins with the bits found so far, how many have which next 8 bits.
//   histogram[b] += how many of all heads; headHistogram[h, b] = how many of head h (last digit only: it says where ties stand)
// mass (f32, read as bits), evicted [heads, stride]; evictedCount [heads]; histogram [256], 0 before; headHistogram [heads, 256]; chosen [2] of
// choose_digit. A workgroup is a head.
struct Params { heads: u32, stride: u32, digit: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mass: array<u32>;
@group(0) @binding(2) var<storage, read> evicted: array<u32>;
@group(0) @binding(3) var<storage, read> evictedCount: array<u32>;
@group(0) @binding(4) var<storage, read> chosen: array<u32>;
@group(0) @binding(5) var<storage, read_write> histogram: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read_write> headHistogram: array<u32>;

override THREADS: u32;

var<workgroup> own: array<atomic<u32>, 256>;

/// Integers in the order of the masses.
fn rank(bits: u32) -> u32 {
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
  for (var i = lane; i < 256u; i += THREADS) { atomicStore(&own[i], 0u); }
  workgroupBarrier();
  for (var i = lane; i < evictedCount[head]; i += THREADS) {
    let r = rank(mass[base + evicted[base + i]]);
    // the first digit has no bits before it, and shifts by 32 are none
    if (params.digit == 0u || (r >> (shift + 8u)) == chosen[0]) { atomicAdd(&own[(r >> shift) & 255u], 1u); }
  }
  workgroupBarrier();
  for (var i = lane; i < 256u; i += THREADS) {
    let count = atomicLoad(&own[i]);
    if (count != 0u) { atomicAdd(&histogram[i], count); }
    if (params.digit == 3u) { headHistogram[head * 256u + i] = count; }
  }
}
