/** Stands where words will be. */
import "./kit.css"

export const Skeleton = () => (
  <p class="skeleton" aria-hidden="true">
    <i />
    <i />
    <i />
  </p>
)
