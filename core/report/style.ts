/** The report's style sheet: system fonts, light and dark after the reader's own setting; what is evicted fades, what is left is shaded. */
import { LETTERS, SHADES } from "./shades.ts";

/** @param groups of layers that can be chosen */
export function style(groups: number): string {
  const strength = (shade: number) => Math.round(8 + 62 * shade / SHADES);
  const scale = Array.from({ length: SHADES }, (_, i) => i + 1);
  const fills = scale.map((n) =>
    `.f${n}{fill:color-mix(in srgb,var(--left) ${
      Math.min(100, 20 + Math.round(80 * n / SHADES))
    }%,var(--panel))}.scale .k${n}{background:color-mix(in srgb,var(--left) ${strength(n)}%,transparent)}`
  )
    .join("");
  const shown = Array.from({ length: groups }, (_, g) => {
    const rules = scale.map((n) =>
      `.${LETTERS[g]}${n}{background:color-mix(in srgb,var(--left) ${strength(n)}%,transparent);color:var(--ink)}`
    );
    return `body:has(#g${g}:checked){${rules.join("")}}`;
  }).join("");
  return `
:root{--page:#fffdf8;--ink:#211c14;--soft:#6d6455;--faded:#a1988a;--rule:#e6dfd0;--panel:#f5f0e4;--left:#d9912b;--flag:#a33a17}
@media (prefers-color-scheme:dark){:root{--page:#17140f;--ink:#efe8da;--soft:#a79c89;--faded:#6f675a;--rule:#332d23;--panel:#221e17;--left:#d08a2c;--flag:#ff9d73}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main,footer{max-width:980px;margin:0 auto;padding:0 24px}
header{padding-top:44px}
.kind,footer,.hint{color:var(--soft);font-size:14px}
.kind,.hint{margin:0 0 8px}
h1{font-size:27px;line-height:1.25;margin:0 0 18px;letter-spacing:-.01em}
h2{font-size:18px;margin:40px 0 4px;padding-top:20px;border-top:1px solid var(--rule)}
h3{font-size:14px;font-weight:600;margin:22px 0 4px}
.answer{margin:0;padding:14px 20px;border-left:4px solid var(--left);background:var(--panel);font-size:18px}
.answer p{margin:0}.answer p+p{margin-top:8px}
.cites{padding-left:26px;margin:12px 0 0}.cites li{margin-bottom:16px}.cites li::marker{font-weight:700;color:var(--flag)}
.cites a{color:inherit;text-decoration-color:var(--left);text-underline-offset:3px}.cites span{color:var(--soft);font-size:13px}
.cites p{margin:4px 0 0;font-family:Georgia,"Times New Roman",serif}
svg{display:block;width:100%;height:auto;margin-top:10px}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
.none{fill:var(--panel)}.flag{fill:var(--flag)}svg .flagged{fill:var(--flag);font-weight:700}
.axis{stroke:var(--rule)}.budget{stroke:var(--flag);stroke-dasharray:4 3}.live{fill:none;stroke:var(--left);stroke-width:1.5;stroke-linejoin:round}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,270px),1fr));gap:12px 24px;margin:14px 0 0}
dt{font-size:12px;color:var(--soft)}dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.pick{position:sticky;top:0;background:var(--page);display:flex;flex-wrap:wrap;gap:6px 16px;align-items:center;padding:10px 0;font-size:13px;color:var(--soft);border-bottom:1px solid var(--rule);z-index:1}
.pick label{color:var(--ink);display:flex;gap:5px;align-items:center}.pick input{accent-color:var(--left);margin:0}
.scale{display:flex;margin-left:auto}.scale i{width:14px;height:14px;background:var(--panel)}
article{font:17px/1.7 Georgia,"Times New Roman",serif;color:var(--faded);margin-top:18px;overflow-wrap:anywhere}
article i{font-style:normal}
article h4{font:600 12px system-ui,sans-serif;color:var(--soft);margin:26px 0 6px;padding-top:8px;border-top:1px dashed var(--rule)}
.mark{scroll-margin-top:80px;font:700 12px system-ui,sans-serif;color:var(--page);background:var(--flag);border-radius:9px;padding:1px 7px;margin-right:4px}
.mark:target{outline:3px solid var(--left)}
footer{padding:32px 24px 60px;font-size:13px}
${fills}${shown}
@media print{.pick{display:none}}
`;
}
