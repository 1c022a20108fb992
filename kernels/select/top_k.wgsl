// kept[list, :] = ascending slots of the quota[list] highest scores among a list's slots start[list] ≤ slot < end[list]; protected ones before all
// others, equal scores to the earlier slot, NaN below everything. count[list] = how many that are. A list is a head; or a stretch of one, `runs` of
// them to a head, and then its slots stand in kept from start[list] on, else from the head's first place on. scores (f32, read as bits), shielded (1:
// stays), kept [heads, stride]; start, end, quota, count [lists]. A workgroup is a list: a radix selection on the scores' order as integers, 8 bits a
// pass from the highest; then every thread takes a stretch of slots, and a prefix sum over the threads says where it writes.
struct Params { lists: u32, runs: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<u32>;
@group(0) @binding(2) var<storage, read> shielded: array<u32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read> quota: array<u32>;
@group(0) @binding(6) var<storage, read_write> kept: array<u32>;
@group(0) @binding(7) var<storage, read_write> count: array<u32>;

override THREADS: u32;

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> sixteenths: array<u32, 16>;
// The bits of the lowest rank that stays, as far as they are known, and how many of those that have them still are to stay.
var<workgroup> chosen: vec2u;
// Slots above the lowest rank, and slots of that rank, up to and including a thread's stretch.
var<workgroup> sums: array<vec2u, THREADS>;

/// Integers in the order of the scores.
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
  // dimensions of a grid have a limit that lists can pass
  let list = group.y * params.runs + group.x;
  let base = group.y * params.stride;
  let first = start[list];
  let last = end[list];
  let n = last - first;
  let wanted = min(quota[list], n);
  let out = base + select(first, 0u, params.runs == 1u);
  if (lane == 0u) {
    count[list] = wanted;
    chosen = vec2u(0u, wanted);
  }
  if (wanted == n) {
    for (var i = lane; i < n; i += THREADS) { kept[out + i] = first + i; }
    return;
  }

  for (var digit = 0u; digit < 4u; digit++) {
    let shift = 24u - 8u * digit;
    for (var i = lane; i < 256u; i += THREADS) { atomicStore(&histogram[i], 0u); }
    workgroupBarrier();
    let prefix = chosen.x;
    for (var slot = first + lane; slot < last; slot += THREADS) {
      let r = rank(base + slot);
      // the first pass has no prefix, and shifts by 32 are none
      if (digit == 0u || (r >> (shift + 8u)) == prefix) { atomicAdd(&histogram[(r >> shift) & 255u], 1u); }
    }
    workgroupBarrier();
    if (lane < 16u) {
      var sum = 0u;
      for (var i = 0u; i < 16u; i++) { sum += atomicLoad(&histogram[16u * lane + i]); }
      sixteenths[lane] = sum;
    }
    workgroupBarrier();
    if (lane == 0u) {
      var left = chosen.y;
      var sixteenth = 15u;
      while (sixteenth > 0u && sixteenths[sixteenth] < left) { left -= sixteenths[sixteenth]; sixteenth--; }
      var bucket = 16u * sixteenth + 15u;
      while (bucket > 16u * sixteenth && atomicLoad(&histogram[bucket]) < left) {
        left -= atomicLoad(&histogram[bucket]);
        bucket--;
      }
      chosen = vec2u((prefix << 8u) | bucket, left);
    }
    workgroupBarrier();
  }

  let lowest = chosen.x;
  let ties = chosen.y;
  let stretch = (n + THREADS - 1u) / THREADS;
  let begin = first + min(lane * stretch, n);
  let stop = min(begin + stretch, last);
  var own = vec2u(0u);
  for (var slot = begin; slot < stop; slot++) {
    let r = rank(base + slot);
    own += vec2u(u32(r > lowest), u32(r == lowest));
  }
  sums[lane] = own;
  workgroupBarrier();
  for (var step = 1u; step < THREADS; step *= 2u) {
    var before = vec2u(0u);
    if (lane >= step) { before = sums[lane - step]; }
    workgroupBarrier();
    sums[lane] += before;
    workgroupBarrier();
  }
  var before = sums[lane] - own;
  for (var slot = begin; slot < stop; slot++) {
    let r = rank(base + slot);
    let at = before.x + min(before.y, ties);
    if (r > lowest) {
      kept[out + at] = slot;
      before.x++;
    } else if (r == lowest) {
      if (before.y < ties) { kept[out + at] = slot; }
      before.y++;
    }
  }
}
