/** How the page is laid out. */
export const App = () => (
  <main>
    <h1>turnstream</h1>
  </main>
)
