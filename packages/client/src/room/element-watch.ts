import type { Shown } from './wishes.ts';

/**
 * Watches how large an element is, in device pixels, and whether it is within what is scrolled into view. Calls `onChange`
 * at once and whenever that changes.
 * @returns ends it
 */
export function watchElement(element: HTMLElement, onChange: (shown: Shown) => void): () => void {
  let isOnScreen = true;
  const report = () => {
    const { clientWidth, clientHeight, ownerDocument } = element;
    const scale = ownerDocument.defaultView?.devicePixelRatio ?? 1;
    const visible = isOnScreen && clientWidth > 0 && clientHeight > 0;
    onChange({ width: clientWidth * scale, height: clientHeight * scale, visible });
  };
  const resizes = new ResizeObserver(report);
  resizes.observe(element);
  const intersections = new IntersectionObserver((entries) => {
    isOnScreen = entries.at(-1)?.isIntersecting ?? isOnScreen;
    report();
  });
  intersections.observe(element);
  report();
  return () => {
    resizes.disconnect();
    intersections.disconnect();
  };
}
