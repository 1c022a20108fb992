// ids[row] = the first of the largest of logits[row, :], as `argmax` of core/decode/write.ts: what is NaN is never larger, and where the first logit is
// NaN none is larger than it. logits (f32, read as bits) [rows, vocab]; ids [rows].
// A workgroup is a row. Every thread takes logits THREADS apart, several at once so that their reads do not wait for each other, and keeps the first of
// its largest; halves are then joined until one is left. Of equals the lower id wins, whichever thread has it, so the order does not matter.
struct Params { rows: u32, vocab: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read_write> ids: array<u32>;

override THREADS: u32;

// Logits of a thread that are read at once.
const AT_ONCE = 8u;

// Rank and id.
var<workgroup> found: array<vec2u, THREADS>;

/// Integers in the order of the logits, as in mass_histogram.wgsl.
fn rank(bits: u32, id: u32) -> u32 {
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return select(0u, 0xffffffffu, id == 0u); } // NaN
  if (magnitude == 0u) { return 0x80000000u; } // -0 equals 0
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn better(a: vec2u, b: vec2u) -> vec2u {
  return select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let row = group.x * params.vocab;
  let last = params.vocab - 1u;
  var best = vec2u(0u, last);
  for (var first = lane; first < params.vocab; first += AT_ONCE * THREADS) {
    var bits = array<u32, AT_ONCE>();
    // beyond the end the last one is looked at again
    for (var i = 0u; i < AT_ONCE; i++) { bits[i] = logits[row + min(first + i * THREADS, last)]; }
    for (var i = 0u; i < AT_ONCE; i++) {
      let id = min(first + i * THREADS, last);
      best = better(best, vec2u(rank(bits[i], id), id));
    }
  }
  found[lane] = best;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (lane < width) { found[lane] = better(found[lane], found[lane + width]); }
    workgroupBarrier();
  }
  if (lane == 0u) { ids[group.x] = found[0].y; }
}
