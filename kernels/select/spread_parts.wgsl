// Equal parts of the document as stretches of slots, and how many slots of each stay: of a share of the quota, an equal number from every part; what
// small parts cannot fill goes to the others (core/select/spread.ts). partStart, partEnd, partQuota [heads, PARTS]: lists for top_k.wgsl, protected
// slots counted; of no slots where a part has nothing to choose, and for all parts where the head has nothing to choose. source, shielded [heads,
// stride]; slots without a place in the document (source < 0) are protected. start, end, quota [heads]. A workgroup is a head: all threads measure
// the parts, then one shares out, the smallest parts first.
struct Params { heads: u32, stride: u32, tokensRead: u32, free: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<i32>;
@group(0) @binding(2) var<storage, read> shielded: array<u32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read> quota: array<u32>;
@group(0) @binding(6) var<storage, read_write> part_start: array<u32>;
@group(0) @binding(7) var<storage, read_write> part_end: array<u32>;
@group(0) @binding(8) var<storage, read_write> part_quota: array<u32>;

override THREADS: u32;
override PARTS: u32;

var<workgroup> begins: array<atomic<u32>, PARTS>;
var<workgroup> stops: array<atomic<u32>, PARTS>;
var<workgroup> open: array<atomic<u32>, PARTS>;
var<workgroup> guarded: atomic<u32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride;
  let n = end[head] - start[head];
  let wanted = quota[head];
  for (var part = lane; part < PARTS; part += THREADS) { atomicStore(&begins[part], 0xffffffffu); }
  workgroupBarrier();
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) {
    let stays = shielded[base + slot] != 0u;
    if (stays) { atomicAdd(&guarded, 1u); }
    let token = source[base + slot];
    if (token >= 0) {
      let part = min(PARTS - 1u, u32(token) * PARTS / params.tokensRead);
      atomicMin(&begins[part], slot);
      atomicMax(&stops[part], slot + 1u);
      if (!stays) { atomicAdd(&open[part], 1u); }
    }
  }
  workgroupBarrier();
  if (lane > 0u) { return; }

  let lists = head * PARTS;
  var left = 0u; // parts that have something to choose
  for (var part = 0u; part < PARTS; part++) {
    part_start[lists + part] = 0u;
    part_end[lists + part] = 0u;
    part_quota[lists + part] = 0u;
    if (atomicLoad(&open[part]) > 0u) { left++; }
  }
  let taken = atomicLoad(&guarded);
  if (wanted >= n || taken >= wanted) { return; }
  let anywhere = u32(ceil(f32(wanted - taken) * params.free));
  var spread = wanted - taken - min(wanted - taken, anywhere);
  while (left > 0u) {
    var smallest = PARTS;
    var slots = 0xffffffffu;
    for (var part = 0u; part < PARTS; part++) {
      let here = atomicLoad(&open[part]);
      if (here > 0u && here < slots) {
        smallest = part;
        slots = here;
      }
    }
    atomicStore(&open[smallest], 0u);
    let share = min(slots, (spread + left - 1u) / left);
    let first = atomicLoad(&begins[smallest]);
    let last = atomicLoad(&stops[smallest]);
    part_start[lists + smallest] = first;
    part_end[lists + smallest] = last;
    part_quota[lists + smallest] = last - first - slots + share;
    spread -= share;
    left--;
  }
}
