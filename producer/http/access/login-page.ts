/** The headers of a page that needs no JavaScript, and loads nothing. */
export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}

export const pageStyle = `
  :root { --text: #1c2128; --quiet: #59636e; --page: #f6f8fa; --card: #fff; --line: #d1d9e0; --deed: #0b5cad; --fault: #b3261e }
  @media (prefers-color-scheme: dark) {
    :root { --text: #e6edf3; --quiet: #9aa5b1; --page: #0d1117; --card: #161b22; --line: #3d444d; --deed: #2f72bd; --fault: #ff8a80 }
  }
  * { box-sizing: border-box }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--page);
         color: var(--text); font: 1rem/1.5 system-ui, sans-serif }
  form, main { width: 100%; max-width: 22rem; padding: 1.5rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
  h1 { margin: 0 0 1rem; font-size: 1.25rem }
  label { display: block; margin-bottom: .25rem; font-weight: 600 }
  input, button { width: 100%; padding: .5rem .75rem; font: inherit; border-radius: .375rem }
  input { color: inherit; background: var(--page); border: 1px solid var(--line) }
  button { margin-top: 1rem; color: #fff; background: var(--deed); border: 0; font-weight: 600; cursor: pointer }
  :focus-visible { outline: 2px solid var(--deed); outline-offset: 2px }
  p { margin: .75rem 0 0; color: var(--quiet); font-size: .875rem }
  p[role=alert] { color: var(--fault); font-weight: 600 }
  main { max-width: 40rem }
  a { color: var(--deed); font-weight: 600 }
  li { margin: .25rem 0 }
`

/** Returns the page that asks for the key. `path`: what the producer is reached below. */
export function loginPage({ to, path, refusal }: { to: string; path: string; refusal?: string }): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Provost: log in</title>
<style>${pageStyle}</style>
</head>
<body>
<form method="post" action="${escapeHtml(path)}/login">
  <h1>Provost</h1>
  <input type="hidden" name="to" value="${escapeHtml(to)}">
  <label for="key">API key</label>
  <input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
  ${refusal === undefined ? '' : `<p role="alert">${escapeHtml(refusal)}</p>`}
  <button>Log in</button>
  <p>The producer has it as <code>PROVOST_API_KEY</code>; <code>provost dev</code> prints it.</p>
</form>
</body>
</html>
`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
