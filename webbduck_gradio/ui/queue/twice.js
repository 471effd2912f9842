// @ts-check
// A button whose action cannot be undone.

/**
 * Returns the handler of the button's clicks: the first one shows `question`, and a second one within five
 * seconds calls `action`.
 */
export function onSecondPress(button, question, action) {
  const label = button.textContent;
  let confirming = null;
  return () => {
    const confirmed = confirming !== null;
    clearTimeout(confirming);
    confirming = confirmed ? null : setTimeout(reset, 5000);
    button.textContent = confirmed ? label : question;
    if (confirmed) action();
  };
  function reset() {
    confirming = null;
    button.textContent = label;
  }
}
