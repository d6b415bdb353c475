// The identity provider's pages: plain HTML, no script, light and dark, readable on a phone. It knows nothing of OpenID Connect.

const style = `
:root { color-scheme: light dark; --page: #f5f6f8; --card: #fff; --ink: #16191f; --soft: #5b6472; --line: #dfe3e8; --accent: #2855c5; --hover: #eef2fc; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --page: #101318; --card: #181c23; --ink: #e9ecf1; --soft: #9aa4b2; --line: #2c323c; --accent: #8fb0ff; --hover: #202736; --bad: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.25rem; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif }
main { width: 100%; max-width: 26rem; padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: 0 8px 30px rgb(0 0 0 / 7%) }
.mark { display: flex; align-items: center; gap: .55rem; margin-bottom: 1.5rem; color: var(--soft); font-size: .875rem }
.mark svg { width: 1.35rem; height: 1.35rem; color: var(--accent) }
h1 { margin: 0 0 .35rem; font-size: 1.35rem; line-height: 1.25; font-weight: 650 }
p { margin: 0 0 1.25rem; color: var(--soft); overflow-wrap: anywhere }
form { margin: 0 }
button { font: inherit; cursor: pointer; width: 100%; border-radius: 10px }
button.person { display: flex; align-items: center; gap: .85rem; padding: .8rem .9rem; margin-bottom: .7rem; text-align: left; color: var(--ink); background: transparent; border: 1px solid var(--line) }
button.person:hover { background: var(--hover); border-color: var(--accent) }
button:focus-visible, input:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.face { flex: none; display: grid; place-items: center; width: 2.5rem; height: 2.5rem; border-radius: 50%; background: var(--accent); color: var(--card); font-weight: 650 }
.who b { display: block; font-weight: 600 } .who span { color: var(--soft); font-size: .875rem }
button.main { padding: .7rem; margin-top: .8rem; color: var(--card); background: var(--accent); border: 0; font-weight: 600 }
button.quiet { padding: .6rem; margin-top: .5rem; color: var(--soft); background: transparent; border: 1px solid var(--line) }
input[type=text] { width: 100%; padding: .7rem; font: inherit; font-size: 1.2rem; letter-spacing: .12em; text-align: center; text-transform: uppercase; color: var(--ink); background: var(--page); border: 1px solid var(--line); border-radius: 10px }
code { display: block; margin: 0 0 1.25rem; padding: .8rem; font: 600 1.4rem ui-monospace, monospace; letter-spacing: .1em; text-align: center; background: var(--page); border-radius: 10px }
.bad { color: var(--bad) }
footer { margin-top: 1.3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .8125rem }
`;
const gate = '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" aria-hidden="true"><path d="M4 21V9a8 8 0 0 1 16 0v12M2 21h20M9.5 21v-8M14.5 21v-8"/></svg>';

export function signInPage(uid, client, people) {
  const buttons = Object.entries(people).map(([id, person]) => `
    <form method="post" action="/sign-in/${encodeURIComponent(uid)}/${encodeURIComponent(id)}">
      <button class="person" type="submit" id="${safe(id)}">
        <span class="face" aria-hidden="true">${safe(person.name.slice(0, 1))}</span>
        <span class="who"><b>${safe(person.label)}</b><span>${safe(person.does)}</span></span>
      </button>
    </form>`).join('');
  return layout('Sign in', `<h1>Who are you?</h1><p>${safe(client)} wants to know who is there.</p>${buttons}
    <footer>A demo provider on this machine: no passwords. In production this page is your own identity provider’s.</footer>`);
}

export function codePage(form, error) {
  const said = error ? '<p class="bad">That code is not known. Look again at your terminal.</p>' : '<p>Type the code that your terminal shows.</p>';
  return layout('Sign in a terminal', `<h1>Sign in a terminal</h1>${said}${form}<button class="main" type="submit" form="op.deviceInputForm">Continue</button>`);
}

export function confirmPage(form, client, code) {
  return layout('Is this yours?', `<h1>Is this yours?</h1><p>${safe(client)} wants to sign you in. Continue only if it shows this code:</p><code>${safe(code)}</code>
    ${form}<button class="main" autofocus type="submit" form="op.deviceConfirmForm">Continue</button>
    <button class="quiet" type="submit" form="op.deviceConfirmForm" value="yes" name="abort">That is not mine</button>`);
}

export function signOutPage(form) {
  return layout('Sign out', `<h1>Sign out?</h1><p>The console asks for a sign-in again after this.</p>${form}
    <button class="main" autofocus type="submit" form="op.logoutForm" value="yes" name="logout">Sign out</button>
    <button class="quiet" type="submit" form="op.logoutForm">Stay signed in</button>`);
}

export function errorPage(out) {
  const lines = Object.entries(out).filter(([, value]) => value !== undefined).map(([key, value]) => `<p><b>${safe(key)}</b><br>${safe(value)}</p>`).join('');
  return layout('Not signed in', `<h1 class="bad">That did not work</h1>${lines}`);
}

export function messagePage(title, text) {
  return layout(title, `<h1>${safe(title)}</h1><p>${safe(text)}</p>`);
}

function layout(title, body) {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${safe(title)} · Lockgate demo</title><style>${style}</style></head><body><main><div class="mark">${gate}Lockgate demo · identity provider</div>${body}</main></body></html>`;
}

function safe(text) {
  return String(text ?? '').replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
