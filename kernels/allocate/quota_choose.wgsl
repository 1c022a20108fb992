// prefix[g] = prefix[g], then the largest b for which Σ over the heads of group g of clamp(atLeast[h, b], sure[h], most[h]) reaches what the group
// may hold: a step of the radix selection over many heads at once (quotas.ts). sure[h] = min(most[h], max(guarded[h], floor)), most[h] = min(live
// slots, mostSlots); a group may hold budget slots per head, or all that are sure. After digit 3 also quota[h]: the slots above the rank that was
// found, and of its holders the first heads'. atLeast [heads, 257]; start, end, guarded, quota [heads]; prefix [groups of `together` heads]. A
// workgroup is a group.
struct Params { heads: u32, together: u32, budget: u32, mostSlots: u32, least: u32, digit: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> at_least: array<u32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read> guarded: array<u32>;
@group(0) @binding(5) var<storage, read_write> prefix: array<u32>;
@group(0) @binding(6) var<storage, read_write> quota: array<u32>;

override THREADS: u32;

var<workgroup> sure_slots: atomic<u32>;
var<workgroup> digit: atomic<u32>;
// Slots above the rank, and its holders, up to and including a thread's heads.
var<workgroup> sums: array<vec2u, THREADS>;

/// Slots of a head that stay if those that rank at least as high as column `bucket` says do.
fn staying(head: u32, bucket: u32) -> u32 {
  let most = min(end[head] - start[head], params.mostSlots);
  let sure = min(most, max(guarded[head], params.least));
  return clamp(at_least[head * 257u + bucket], sure, most);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let first = group.x * params.together;
  let last = first + params.together;
  for (var head = first + lane; head < last; head += THREADS) {
    let most = min(end[head] - start[head], params.mostSlots);
    atomicAdd(&sure_slots, min(most, max(guarded[head], params.least)));
  }
  workgroupBarrier();
  let room = max(atomicLoad(&sure_slots), params.budget * params.together);
  for (var bucket = lane; bucket < 256u; bucket += THREADS) {
    var sum = 0u;
    for (var head = first; head < last; head++) { sum += staying(head, bucket); }
    if (sum >= room) { atomicMax(&digit, bucket); }
  }
  workgroupBarrier();
  let chosen = atomicLoad(&digit);
  if (lane == 0u) { prefix[group.x] = select(prefix[group.x] << 8u, 0u, params.digit == 0u) | chosen; }
  if (params.digit < 3u) { return; }

  let stretch = (params.together + THREADS - 1u) / THREADS;
  let begin = min(first + lane * stretch, last);
  let stop = min(begin + stretch, last);
  var own = vec2u(0u);
  for (var head = begin; head < stop; head++) {
    let above = staying(head, chosen + 1u);
    own += vec2u(above, staying(head, chosen) - above);
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
  var holders = sums[lane].y - own.y;
  let open = room - sums[THREADS - 1u].x;
  for (var head = begin; head < stop; head++) {
    let above = staying(head, chosen + 1u);
    let here = staying(head, chosen) - above;
    quota[head] = above + min(here, open - min(open, holders));
    holders += here;
  }
}
