// likeness[i] <- w_i = cos_i |v_i| / (|v_i| + |v_j| + epsilon) where the cosine is above 0 and at least `threshold`, else 0: what of evicted slot i is merged
// into its receiver j = index[i].
// likeness (cosines before), index [heads, stride]; norms (of values) [heads, stride]; rows, receivers [all heads, stride]; rowCount [all heads].
// A thread is a row.
struct Params { heads: u32, firstHead: u32, stride: u32, threshold: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> norms: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read> rowCount: array<u32>;
@group(0) @binding(5) var<storage, read> receivers: array<u32>;
@group(0) @binding(6) var<storage, read_write> likeness: array<f32>;

override THREADS: u32;
const NONE = 0xffffffffu;
const EPSILON = 1e-6;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  if (id.x >= rowCount[params.firstHead + head]) { return; }
  let lists = (params.firstHead + head) * params.stride;
  let run = head * params.stride;
  let at = run + id.x;
  let cosine = likeness[at];
  var share = 0.0;
  if (index[at] != NONE && cosine > 0.0 && cosine >= params.threshold) {
    let own = norms[run + rows[lists + id.x]];
    let theirs = norms[run + receivers[lists + index[at]]];
    share = cosine * own / (own + theirs + EPSILON);
  }
  likeness[at] = share;
}
