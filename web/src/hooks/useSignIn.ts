/** One sign-in: the password, then the challenges that Cognito adds. */
import { useState } from "react";
import { asProblem } from "../api/problem";
import { type Answer, answerChallenge, type Challenge, signIn, type Tokens } from "../session/cognito";
import type { SignIn } from "../types";

export interface SignInAttempt {
  challenge: Challenge | null;
  error: unknown;
  busy: boolean;
  start(name: string, password: string): Promise<void>;
  answer(value: string): Promise<void>;
  cancel(): void;
}

export function useSignIn(pool: SignIn, onTokens: (tokens: Tokens) => void): SignInAttempt {
  const [challenge, setChallenge] = useState<Challenge | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  async function attempt(answering: Promise<Answer>): Promise<void> {
    setBusy(true);
    setError(null);
    try {
      const answer = await answering;
      "tokens" in answer ? onTokens(answer.tokens) : setChallenge(answer.challenge);
    } catch (refused) {
      setError(refused);
      // After a few minutes Cognito forgets the attempt: begin again with the password.
      if (asProblem(refused).code === "NotAuthorizedException") setChallenge(null);
    } finally {
      setBusy(false);
    }
  }

  return {
    challenge,
    error,
    busy,
    start: (name, password) => attempt(signIn(pool, name, password)),
    answer: async (value) => {
      if (challenge) await attempt(answerChallenge(pool, challenge, value));
    },
    cancel: () => {
      setChallenge(null);
      setError(null);
    },
  };
}
