// Step of a radix selection over all heads: chosen = (the bits of the lowest rank that is taken, as far as they are known; how many of those that have them
// are to be taken), one digit of 8 bits further by the histogram, which becomes 0 again.
// At the first digit: ceil(parts / 65536 * all) are to be taken. One workgroup.
struct Params { digit: u32, parts: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> histogram: array<u32>;
@group(0) @binding(2) var<storage, read_write> chosen: array<u32>;

override THREADS: u32;

var<workgroup> counts: array<u32, 256>;
var<workgroup> sixteenths: array<u32, 16>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32) {
  for (var i = lane; i < 256u; i += THREADS) {
    counts[i] = histogram[i];
    histogram[i] = 0u;
  }
  workgroupBarrier();
  if (lane < 16u) {
    var sum = 0u;
    for (var i = 0u; i < 16u; i++) { sum += counts[16u * lane + i]; }
    sixteenths[lane] = sum;
  }
  workgroupBarrier();
  if (lane != 0u) { return; }
  var prefix = 0u;
  var left = 0u;
  if (params.digit == 0u) {
    var all = 0u;
    for (var i = 0u; i < 16u; i++) { all += sixteenths[i]; }
    // in two halves of 16 bits, as the product may not fit
    left = params.parts * (all >> 16u) + (params.parts * (all & 0xffffu) + 0xffffu) / 0x10000u;
  } else {
    prefix = chosen[0];
    left = chosen[1];
  }
  var sixteenth = 15u;
  while (sixteenth > 0u && sixteenths[sixteenth] < left) { left -= sixteenths[sixteenth]; sixteenth--; }
  var bucket = 16u * sixteenth + 15u;
  while (bucket > 16u * sixteenth && counts[bucket] < left) { left -= counts[bucket]; bucket--; }
  chosen[0] = (prefix << 8u) | bucket;
  chosen[1] = left;
}
