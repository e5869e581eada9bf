/** The page's element with this id; its absence is a mistake in index.html. */
export function element<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found as Element as T;
}

/** Shows `text` in a message box, with an optional button; nothing hides the box. */
export function showMessage(box: HTMLElement, text: string, action?: { label: string; run: () => void }): void {
  box.replaceChildren(text);
  box.hidden = text === '';
  if (!action) return;
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = action.label;
  button.addEventListener('click', action.run);
  box.append(button);
}
