/** The pages' only style sheet, inline: the content security policy allows it by its hash, and nothing else. */
export const STYLE = `
:root{color-scheme:light dark;--line:light-dark(#e3e5e8,#33373d);--soft:light-dark(#5b6470,#9aa4b0);
--panel:light-dark(#fff,#1c1f24);--ground:light-dark(#f5f6f8,#131518);--ink:light-dark(#1a1d21,#e6e8eb);
--bad:light-dark(#b3261e,#ff8a80);--warn:light-dark(#8a5a00,#f2c14e);--good:light-dark(#1b6e3c,#7fd8a0);
--info:light-dark(#1f5fa8,#8ab8f0)}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:1.5rem 1.25rem 4rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.4rem 1.25rem;margin-bottom:1.25rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.05rem;margin:0}
section{background:var(--panel);border:1px solid var(--line);border-radius:10px;margin:0 0 1.25rem;overflow:hidden}
section>div.head{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:center;gap:.5rem 1rem;padding:.8rem 1rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.55rem 1rem;border-top:1px solid var(--line)}
th{font-weight:600;color:var(--soft);font-size:.82rem;white-space:nowrap}
code,.mono{font-family:ui-monospace,monospace;font-size:.87em}
td .mono{overflow-wrap:anywhere}
td code,.moment{white-space:nowrap}
.where{min-width:18rem}
.soft{color:var(--soft)}
.tag{display:inline-block;border:1px solid currentColor;border-radius:999px;padding:0 .55em;font-size:.8rem;line-height:1.55;white-space:nowrap}
.error,.bad{color:var(--bad)}.warning,.warn{color:var(--warn)}.good{color:var(--good)}.info{color:var(--info)}
.empty{padding:.2rem 1rem 1rem;color:var(--soft);margin:0}
.counts{display:flex;flex-wrap:wrap;gap:.2rem 1.25rem;padding:0 1rem .8rem;margin:0}
.note{padding:.7rem 1rem;margin:0 0 1.25rem;border:1px solid currentColor;border-radius:10px}
form{display:flex;gap:.5rem}
input{font:inherit;font-size:.9rem;padding:.3rem .6rem;width:22rem;max-width:55vw;border:1px solid var(--line);border-radius:6px;background:var(--ground);color:inherit}
button{font:inherit;font-size:.9rem;padding:.3rem .8rem;border:1px solid var(--line);border-radius:6px;background:var(--ground);color:inherit;cursor:pointer}
a{color:var(--info)}
@media (max-width:48rem){
table,tbody,tr,td{display:block}
thead{display:none}
tr{padding:.6rem 1rem;border-top:1px solid var(--line)}
td{border:0;padding:.1rem 0}
td:empty{display:none}
.where{min-width:0}
td code,td .mono,.moment{white-space:normal;overflow-wrap:anywhere}
}
`;
