// evicted[h, :] = ascending slots of head h that do not stay, receivers[h, :] = those that stay and whose mark is `receives`; how many in the counts.
// stays (1: stays), mark, evicted, receivers [heads, stride]; start, end (live slots: start <= slot < end), evictedCount, receiverCount [heads].
// A workgroup is a head: every thread takes a stretch of slots, and a prefix sum over the threads says where it writes.
struct Params { heads: u32, stride: u32, receives: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> stays: array<u32>;
@group(0) @binding(2) var<storage, read> mark: array<u32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read_write> evicted: array<u32>;
@group(0) @binding(6) var<storage, read_write> evictedCount: array<u32>;
@group(0) @binding(7) var<storage, read_write> receivers: array<u32>;
@group(0) @binding(8) var<storage, read_write> receiverCount: array<u32>;

override THREADS: u32;

// Evicted slots and receivers up to and including a thread's stretch.
var<workgroup> sums: array<vec2u, THREADS>;

fn kinds(at: u32) -> vec2u {
  if (stays[at] == 0u) { return vec2u(1u, 0u); }
  return vec2u(0u, u32(mark[at] == params.receives));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride;
  let stretch = (end[head] - start[head] + THREADS - 1u) / THREADS;
  let first = min(start[head] + lane * stretch, end[head]);
  let last = min(first + stretch, end[head]);
  var own = vec2u(0u);
  for (var slot = first; slot < last; slot++) { own += kinds(base + slot); }
  sums[lane] = own;
  workgroupBarrier();
  for (var step = 1u; step < THREADS; step *= 2u) {
    var before = vec2u(0u);
    if (lane >= step) { before = sums[lane - step]; }
    workgroupBarrier();
    sums[lane] += before;
    workgroupBarrier();
  }
  var at = sums[lane] - own;
  for (var slot = first; slot < last; slot++) {
    let kind = kinds(base + slot);
    if (kind.x == 1u) { evicted[base + at.x] = slot; }
    if (kind.y == 1u) { receivers[base + at.y] = slot; }
    at += kind;
  }
  if (lane == THREADS - 1u) {
    evictedCount[head] = at.x;
    receiverCount[head] = at.y;
  }
}
