// marked[h, slot] = shielded[h, slot], or 1 where the slot is in one of the head's lists of kept slots, for live slots: what an earlier stage chose
// is protected from the next. kept: list l stands from its head's first place on, or where runs > 1 from first[l] on, as top_k.wgsl writes it,
// count[l] slots. shielded, kept, marked [heads, stride]; start, end [heads]; first, count [heads × runs]. A workgroup is a head.
struct Params { heads: u32, runs: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> shielded: array<u32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read> kept: array<u32>;
@group(0) @binding(5) var<storage, read> first: array<u32>;
@group(0) @binding(6) var<storage, read> count: array<u32>;
@group(0) @binding(7) var<storage, read_write> marked: array<u32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride;
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) { marked[base + slot] = shielded[base + slot]; }
  storageBarrier();
  for (var run = 0u; run < params.runs; run++) {
    let list = head * params.runs + run;
    let at = base + select(first[list], 0u, params.runs == 1u);
    for (var i = lane; i < count[list]; i += THREADS) { marked[base + kept[at + i]] = 1u; }
  }
}
