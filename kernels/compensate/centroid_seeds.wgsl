// Chooses a head's centroids among the slots that it loses and its old centroids, with about as many tokens between any two; what is not chosen is lost.
//   stays: 0 or 1 anew for all of these; source[s] = -1 and count[s] = tokens for the chosen
// With n of them, T tokens in all, P_i up to and including the i-th, and c still to choose, the next is the first i with
//   2 c P_i >= T for the first of all,  (P_i - P_last) (2 c + 1) >= 2 (T - P_last) then,  or i = n - c: whole numbers, so it is exact.
// stays, source, count [heads, stride]; start, end (live slots: start <= slot < end) [heads]; found [heads, stride, 2], for a while: slot, P.
// A workgroup is a head: a prefix sum over stretches of slots lists them, then one thread chooses by bisection.
struct Params { heads: u32, stride: u32, isFirst: u32, slots: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> start: array<u32>;
@group(0) @binding(2) var<storage, read> end: array<u32>;
@group(0) @binding(3) var<storage, read_write> stays: array<u32>;
@group(0) @binding(4) var<storage, read_write> source: array<i32>;
@group(0) @binding(5) var<storage, read_write> count: array<f32>;
@group(0) @binding(6) var<storage, read_write> found: array<vec2u>;

override THREADS: u32;
const MEMORY = -1;

// Slots to choose from, their tokens, and old centroids, up to and including a thread's stretch.
var<workgroup> sums: array<vec3u, THREADS>;

/// A slot without a count is one token.
fn tokens(at: u32) -> u32 { return select(u32(count[at]), 1u, count[at] == 0.0); }

fn kinds(at: u32) -> vec3u {
  let old = stays[at] != 0u && source[at] == MEMORY;
  if (stays[at] != 0u && !old) { return vec3u(0u); }
  return vec3u(1u, tokens(at), u32(old));
}

fn choose(base: u32, n: u32, all: u32, most: u32) {
  var next = 0u;
  var before = 0u;
  for (var left = most; left > 0u; left--) {
    let wanted = select(2u * (all - before), all, left == most);
    let times = select(2u * left + 1u, 2u * left, left == most);
    var low = next;
    var high = n - left;
    while (low < high) {
      let middle = (low + high) / 2u;
      if ((found[base + middle].y - before) * times >= wanted) { high = middle; } else { low = middle + 1u; }
    }
    before = found[base + low].y;
    found[base + low].y = 0u; // chosen
    next = low + 1u;
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride;
  let stretch = (end[head] - start[head] + THREADS - 1u) / THREADS;
  let first = min(start[head] + lane * stretch, end[head]);
  let last = min(first + stretch, end[head]);
  var own = vec3u(0u);
  for (var slot = first; slot < last; slot++) { own += kinds(base + slot); }
  sums[lane] = own;
  workgroupBarrier();
  for (var step = 1u; step < THREADS; step *= 2u) {
    var before = vec3u(0u);
    if (lane >= step) { before = sums[lane - step]; }
    workgroupBarrier();
    sums[lane] += before;
    workgroupBarrier();
  }
  var at = sums[lane] - own;
  for (var slot = first; slot < last; slot++) {
    let kind = kinds(base + slot);
    at += kind;
    if (kind.x == 1u) { found[base + at.x - 1u] = vec2u(slot, at.y); }
  }
  storageBarrier();
  let all = sums[THREADS - 1u];
  let most = select(all.z, params.slots, params.isFirst != 0u);
  if (lane == 0u && all.x > most) { choose(base, all.x, all.y, most); }
  storageBarrier();
  for (var i = lane; i < all.x; i += THREADS) {
    let one = found[base + i];
    let isChosen = all.x <= most || one.y == 0u;
    let slot = base + one.x;
    stays[slot] = u32(isChosen);
    if (isChosen) {
      source[slot] = MEMORY;
      count[slot] = f32(tokens(slot));
    }
  }
}
