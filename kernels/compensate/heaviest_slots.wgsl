// flowing[h, :] = the evicted slots of head h, ascending, whose mass ranks above chosen[0], and of those that rank equal the first chosen[1] of all heads.
// mass (f32, read as bits), evicted, flowing [heads, stride]; evictedCount, flowingCount [heads]; headHistogram [heads, 256] of the last digit.
// A workgroup is a head: it counts the ties of the heads before it; then every thread takes a stretch, and a prefix sum says where it writes.
struct Params { heads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mass: array<u32>;
@group(0) @binding(2) var<storage, read> evicted: array<u32>;
@group(0) @binding(3) var<storage, read> evictedCount: array<u32>;
@group(0) @binding(4) var<storage, read> chosen: array<u32>;
@group(0) @binding(5) var<storage, read> headHistogram: array<u32>;
@group(0) @binding(6) var<storage, read_write> flowing: array<u32>;
@group(0) @binding(7) var<storage, read_write> flowingCount: array<u32>;

override THREADS: u32;

// Slots above the lowest rank, and of that rank, up to and including a thread's stretch.
var<workgroup> sums: array<vec2u, THREADS>;
var<workgroup> earlier: atomic<u32>;

/// Integers in the order of the masses, as in mass_histogram.wgsl.
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
  let n = evictedCount[head];
  let lowest = chosen[0];
  for (var h = lane; h < head; h += THREADS) { atomicAdd(&earlier, headHistogram[h * 256u + (lowest & 255u)]); }

  let stretch = (n + THREADS - 1u) / THREADS;
  let first = min(lane * stretch, n);
  let last = min(first + stretch, n);
  var own = vec2u(0u);
  for (var i = first; i < last; i++) {
    let r = rank(mass[base + evicted[base + i]]);
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
  let taken = atomicLoad(&earlier);
  let ties = select(0u, chosen[1] - taken, taken < chosen[1]);
  var before = sums[lane] - own;
  for (var i = first; i < last; i++) {
    let slot = evicted[base + i];
    let r = rank(mass[base + slot]);
    let at = before.x + min(before.y, ties);
    if (r > lowest) {
      flowing[base + at] = slot;
      before.x++;
    } else if (r == lowest) {
      if (before.y < ties) { flowing[base + at] = slot; }
      before.y++;
    }
  }
  if (lane == THREADS - 1u) { flowingCount[head] = before.x + min(before.y, ties); }
}
