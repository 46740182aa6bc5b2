export const Markdown = ({ text }: { text: string; streaming: boolean }) => <p>{text}</p>
